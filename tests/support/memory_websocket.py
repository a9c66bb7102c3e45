"""A WebSocket server's side in memory, for tests of the client: no sockets, no reactor."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from natsroute.client.transport import websocket_socket
from natsroute.client.transport.websocket import WebSocketEndpoint
from natsroute.errors import HandshakeError
from tests.support.memory_network import MemoryTransport

#: The opcodes of WebSocket.
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(payload: bytes, opcode: int = BINARY, *, fin: bool = True, flags: int = 0) -> bytes:
    """A frame that a server sends."""
    size = len(payload)
    first = bytes([(0x80 if fin else 0) | flags | opcode])
    if size < 126:
        return first + bytes([size]) + payload
    if size < 65536:
        return first + b"\x7e" + struct.pack("!H", size) + payload
    return first + b"\x7f" + struct.pack("!Q", size) + payload


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of each frame that a client has sent."""
    found = []
    while data:
        size, at = data[1] & 0x7F, 2
        assert data[0] & 0x80, "a message in pieces"
        assert data[1] & 0x80, "a client must mask"
        if size > 125:
            form, length = ("!H", 2) if size == 126 else ("!Q", 8)
            (size,), at = struct.unpack(form, data[2 : 2 + length]), 2 + length
        mask, payload = data[at : at + 4], data[at + 4 : at + 4 + size]
        found.append((data[0] & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))))
        data = data[at + 4 + size :]
    return found


class Transport(MemoryTransport):
    """The TCP transport below the WebSocket."""

    lost_by_us = False

    def loseConnection(self) -> None:
        self.lost_by_us = True


@implementer(IStreamClientEndpoint)
class Below:
    """The endpoint below the WebSocket. An attempt waits until the test calls :meth:`go`."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.cancelled = False
        self.factory: Any = None
        self.socket: Any = None

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        self.factory = factory
        self.attempt: Deferred[Any] = Deferred(lambda _: setattr(self, "cancelled", True))
        return self.attempt

    def go(self) -> None:
        """TCP is connected."""
        self.factory.doStart()
        self.socket = self.factory.buildProtocol(None)
        self.socket.makeConnection(self.transport)
        self.attempt.callback(self.socket)


class Recorder(Protocol):
    """The protocol above the WebSocket. It keeps what it receives."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost: list[Failure] = []
        self.problem: Exception | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)
        if self.problem:
            raise self.problem

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost.append(reason)


class RecorderFactory(Factory):
    """Builds one recorder."""

    noisy = False

    def __init__(self) -> None:
        self.built = Recorder()
        self.made: Any = self.built

    def buildProtocol(self, addr: Any) -> Any:
        return self.made


class WebSocketTestCase(SynchronousTestCase):
    """A WebSocketEndpoint with this test as its server."""

    url = "ws://nats.example.com:8080/"

    def setUp(self) -> None:
        if not websocket_socket.HAS_AUTOBAHN:
            self.skipTest("autobahn is not installed")
        self.clock = Clock()
        self.below = Below()
        self.factory = RecorderFactory()
        self.protocol = self.factory.built

    def connect(self) -> Deferred[Any]:
        """Start an attempt."""
        endpoint = WebSocketEndpoint(self.clock, self.below, url=self.url, timeout=2.0)  # type: ignore[arg-type]
        return endpoint.connect(self.factory)

    def begin(self) -> tuple[Deferred[Any], str]:
        """Start an attempt, and return the HTTP request with it."""
        connecting = self.connect()
        self.below.go()
        return connecting, self.below.transport.sent().decode()

    def accept(self, request: str, then: bytes = b"", extra: str = "") -> None:
        """
        Accept the WebSocket.

        :param then: what follows in the same chunk.
        :param extra: more headers of the response.
        """
        found = re.search(r"Sec-WebSocket-Key: (\S+)\r\n", request)
        assert found
        magic = found[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(magic.encode()).digest()).decode()
        self.receive(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extra}"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            + then
        )

    def receive(self, data: bytes) -> None:
        """The server sends data."""
        self.below.socket.dataReceived(data)

    def lose(self, reason: Exception | None = None) -> None:
        """The TCP connection is lost."""
        self.below.socket.connectionLost(Failure(reason or ConnectionDone()))

    def open(self) -> Recorder:
        """Connect, and return the protocol above."""
        connecting, request = self.begin()
        self.accept(request)
        protocol: Recorder = self.successResultOf(connecting)
        return protocol

    def refused(self, connecting: Deferred[Any]) -> str:
        """Return the text of the HandshakeError. Nothing is left on the clock."""
        error = self.failureResultOf(connecting, HandshakeError).value
        self.assertTrue(self.below.transport.aborted)
        self.lose(ConnectionAborted())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.protocol.lost, [])
        return str(error)
