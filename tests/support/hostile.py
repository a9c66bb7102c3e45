"""A server that speaks almost NATS: what it does to its visitors is a script."""

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

#: Bytes that a script hands over at a time.
CHUNK = 64 * 1024


def info(**fields: Any) -> bytes:
    """An INFO line."""
    known = {"server_id": "X", "version": "0.0.0", "proto": 1, "headers": True, "max_payload": 1024 * 1024}
    return b"INFO " + json.dumps({**known, **fields}).encode() + b"\r\n"


def many(data: bytes, times: int) -> Iterator[bytes]:
    """The same again and again, in chunks."""
    at_once = max(1, CHUNK // len(data))
    for begin in range(0, times, at_once):
        yield data * min(at_once, times - begin)


class GoneError(Exception):
    """The visitor is gone."""


@implementer(IPullProducer)
class Visitor(Protocol):
    """
    A client, as a script sees it.

    :ivar gone: whether it went, or was sent away.

    :param script: called with this when there is a connection.
    """

    transport: Any

    def __init__(self, reactor: Any, script: Callable[[Visitor], Awaitable[None]]) -> None:
        self.gone = False
        self.says: list[bytes] = []
        self._reactor = reactor
        self._script = script
        self._rest = b""
        self._answers = False
        self._floods = False
        self._waiting: Deferred[None] | None = None
        self._chunks: Iterator[bytes] = iter(())

    # -- for scripts ----------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Say something."""
        self.transport.write(data)

    async def hears(self, line: bytes) -> None:
        """Wait until the visitor says what begins so; what it said before is forgotten."""
        while True:
            while self.says:
                if self.says.pop(0).startswith(line):
                    return
            await self._wait()

    async def hears_anything(self) -> None:
        """Wait until the visitor says what is no line, as with TLS."""
        while not (self._rest or self.says):
            await self._wait()

    async def let_in(self, **fields: Any) -> None:
        """The handshake, as it should be."""
        self.write(info(**fields))
        await self.hears(b"PING")
        self.write(b"PONG\r\n")

    async def flood(self, chunks: Iterator[bytes]) -> None:
        """Write all of this, as fast as it is read."""
        self._chunks = chunks
        self._floods = True
        self.transport.registerProducer(self, False)
        while self._floods:
            await self._wait()

    async def read_all(self) -> None:
        """Wait until all that was written has been read: a visitor answers in order."""
        self.answer_pings()
        self.write(b"PING\r\n")
        await self.hears(b"PONG")

    async def be_good(self) -> None:
        """Let it in, and answer its PINGs for ever."""
        self.answer_pings()
        self.write(info())
        await self.end()

    def answer_pings(self) -> None:
        """From now on."""
        self._answers = True
        for line in self.says:
            self._answer(line)

    async def end(self) -> None:
        """Do nothing until it goes."""
        while True:
            self.says.clear()
            await self._wait()

    async def pause(self, seconds: float) -> None:
        """Let time go by."""
        await deferLater(self._reactor, seconds)
        if self.gone:
            raise GoneError()

    def stop_reading(self) -> None:
        """What it says from now on stays in its own buffers."""
        self.transport.pauseProducing()

    def close(self) -> None:
        """Send it away."""
        self.transport.loseConnection()

    def reset(self) -> None:
        """Send it away with a RST."""
        self.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abortConnection()

    # -- Twisted's side -------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        running = ensureDeferred(self._script(self))  # type: ignore[arg-type]
        running.addErrback(lambda failure: failure.trap(GoneError, CancelledError))
        self.script_ended = running

    def dataReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if self._answers:
                self._answer(line)
            self.says.append(line)
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True
        self._wake()

    def resumeProducing(self) -> None:
        """All is written: the next chunk."""
        chunk = next(self._chunks, b"")
        if chunk:
            self.transport.write(chunk)
        else:
            self.transport.unregisterProducer()
            self._floods = False
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
            raise GoneError()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


#: What a server does to a visitor.
Script = Callable[[Visitor], Awaitable[None]]


class HostileServer(Factory):
    """
    Runs a script for each visitor.

    :ivar visitors: all of them, the oldest first.

    :param script: for the first visitor.
    :param later: for those that follow.
    """

    noisy = False

    def __init__(self, reactor: Any, script: Script, later: Script) -> None:
        self.visitors: list[Visitor] = []
        self._reactor = reactor
        self._script = script
        self._later = later
        self._listening: Any = None

    def start(self, port: int) -> None:
        """Listen on the loopback interface."""
        self._listening = self._reactor.listenTCP(port, self, interface="127.0.0.1")
        # Accepted connections inherit it: otherwise the kernel would take megabytes for a server that does not read.
        self._listening.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)

    async def stop(self) -> None:
        """Send all away, and free the port; a script that failed fails this."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        await listening.stopListening()
        for visitor in self.visitors:
            if not visitor.gone:
                visitor.transport.abortConnection()
        for visitor in self.visitors:
            while not visitor.gone:
                await deferLater(self._reactor, 0.001)
            await visitor.script_ended

    def buildProtocol(self, addr: object) -> Visitor:
        visitor = Visitor(self._reactor, self._later if self.visitors else self._script)
        self.visitors.append(visitor)
        return visitor
