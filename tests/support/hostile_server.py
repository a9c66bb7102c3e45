"""A server that speaks almost NATS: a script decides what it does to each client."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

#: Bytes that a script writes at a time.
CHUNK = 64 * 1024


def info(**fields: Any) -> bytes:
    """An INFO line."""
    known = {"server_id": "X", "version": "0.0.0", "proto": 1, "headers": True, "max_payload": 1024 * 1024}
    return b"INFO " + json.dumps({**known, **fields}).encode() + b"\r\n"


def repeated(data: bytes, times: int) -> Iterator[bytes]:
    """The same bytes again and again, in chunks."""
    at_once = max(1, CHUNK // len(data))
    for begin in range(0, times, at_once):
        yield data * min(at_once, times - begin)


class ClientGoneError(Exception):
    """The connection is closed."""


@implementer(IPullProducer)
class Client(Protocol):
    """
    A client of the server, as a script sees it. What waits raises :class:`ClientGoneError` when the connection closes.

    :ivar gone: whether the connection is closed.
    :ivar lines: what the client has sent and no method has waited for yet.

    :param script: called with this when the connection is made.
    """

    transport: Any

    def __init__(self, reactor: Any, script: Callable[[Client], Awaitable[None]]) -> None:
        self.gone = False
        self.lines: list[bytes] = []
        self._reactor = reactor
        self._script = script
        self._rest = b""
        self._answers_pings = False
        self._flooding = False
        self._waiting: Deferred[None] | None = None
        self._chunks: Iterator[bytes] = iter(())

    # -- for scripts ----------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        self.transport.write(data)

    async def wait_for_line(self, prefix: bytes) -> None:
        """Wait until the client sends a line that begins with the prefix. Lines before it are dropped."""
        while True:
            while self.lines:
                if self.lines.pop(0).startswith(prefix):
                    return
            await self._wait()

    async def wait_for_bytes(self) -> None:
        """Wait until the client sends anything, a line or not."""
        while not (self._rest or self.lines):
            await self._wait()

    async def shake_hands(self, **fields: Any) -> None:
        """The handshake of a real server; the fields are for INFO."""
        self.write(info(**fields))
        await self.wait_for_line(b"PING")
        self.write(b"PONG\r\n")

    async def flood(self, chunks: Iterator[bytes]) -> None:
        """Write all the chunks, as fast as the client reads."""
        self._chunks = chunks
        self._flooding = True
        self.transport.registerProducer(self, False)
        while self._flooding:
            await self._wait()

    async def wait_until_read(self) -> None:
        """Wait until the client has read everything: a client answers PINGs in order."""
        self.answer_pings()
        self.write(b"PING\r\n")
        await self.wait_for_line(b"PONG")

    async def behave(self) -> None:
        """Complete the handshake and answer PINGs, until the client goes."""
        self.answer_pings()
        self.write(info())
        await self.wait_until_gone()

    def answer_pings(self) -> None:
        """Answer the PINGs that have come and those that will come."""
        self._answers_pings = True
        for line in self.lines:
            self._answer(line)

    async def wait_until_gone(self) -> None:
        """Do nothing until the client goes."""
        while True:
            self.lines.clear()
            await self._wait()

    async def pause(self, seconds: float) -> None:
        """Do nothing for that time."""
        await deferLater(self._reactor, seconds)
        if self.gone:
            raise ClientGoneError()

    def stop_reading(self) -> None:
        """Read no more. What the client sends from now on stays in its own buffers."""
        self.transport.pauseProducing()

    def close(self) -> None:
        """Close the connection."""
        self.transport.loseConnection()

    def reset(self) -> None:
        """Close the connection with a RST."""
        self.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abortConnection()

    # -- for Twisted ----------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        running = ensureDeferred(self._script(self))  # type: ignore[arg-type]
        running.addErrback(lambda failure: failure.trap(ClientGoneError, CancelledError))
        self.script_ended = running

    def dataReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if self._answers_pings:
                self._answer(line)
            self.lines.append(line)
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True
        self._wake()

    def resumeProducing(self) -> None:
        """Write the next chunk: the client has read the last one."""
        chunk = next(self._chunks, b"")
        if chunk:
            self.transport.write(chunk)
        else:
            self.transport.unregisterProducer()
            self._flooding = False
            self._wake()

    def stopProducing(self) -> None:
        """The connection is lost."""

    def _answer(self, line: bytes) -> None:
        if line == b"PING":
            self.transport.write(b"PONG\r\n")

    async def _wait(self) -> None:
        if not self.gone:
            self._waiting = Deferred()
            await self._waiting
        if self.gone:
            raise ClientGoneError()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


#: What a server does to a client.
Script = Callable[[Client], Awaitable[None]]


class HostileServer(Factory):
    """
    Runs a script for each client.

    :ivar clients: all of them, the oldest first.

    :param script: for the first client.
    :param later: for the clients after it.
    """

    noisy = False

    def __init__(self, reactor: Any, script: Script, later: Script) -> None:
        self.clients: list[Client] = []
        self._reactor = reactor
        self._script = script
        self._later = later
        self._listening: Any = None

    def start(self, port: int) -> None:
        """Listen on the loopback interface."""
        self._listening = self._reactor.listenTCP(port, self, interface="127.0.0.1")
        # Accepted connections inherit it. Without it the kernel buffers megabytes for a server that does not read.
        self._listening.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)

    async def stop(self) -> None:
        """Close all connections and free the port. Raises what a script has raised."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        await listening.stopListening()
        for client in self.clients:
            if not client.gone:
                client.transport.abortConnection()
        for client in self.clients:
            while not client.gone:
                await deferLater(self._reactor, 0.001)
            await client.script_ended

    def buildProtocol(self, addr: object) -> Client:
        client = Client(self._reactor, self._later if self.clients else self._script)
        self.clients.append(client)
        return client
