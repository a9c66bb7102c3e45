"""natsroute.client.transport.websocket, and the socket and transport behind it"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionDone, NoProtocol
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from natsroute.client.protocol import NatsFactory, NatsProtocol
from natsroute.client.transport import websocket_socket
from natsroute.client.transport.websocket import WebSocketEndpoint
from natsroute.errors import ConnectionLostError, HandshakeError, ProtocolError, SettingError
from tests.support.memory_network import MemoryTransport, info

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
ROOT = Path(__file__).parents[1]


def frame(payload: bytes, opcode: int = BINARY, *, fin: bool = True, flags: int = 0) -> bytes:
    """A frame as a server sends it."""
    size = len(payload)
    first = bytes([(0x80 if fin else 0) | flags | opcode])
    if size < 126:
        return first + bytes([size]) + payload
    if size < 65536:
        return first + b"\x7e" + struct.pack("!H", size) + payload
    return first + b"\x7f" + struct.pack("!Q", size) + payload


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of the frames that a client sent."""
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
    """What is below the WebSocket."""

    lost_by_us = False

    def loseConnection(self) -> None:
        self.lost_by_us = True


@implementer(IStreamClientEndpoint)
class Below:
    """An endpoint whose attempts wait for the test."""

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
        self.factory.doStart()
        self.socket = self.factory.buildProtocol(None)
        self.socket.makeConnection(self.transport)
        self.attempt.callback(self.socket)


class Recorder(Protocol):
    """Keeps what it is told."""

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
    """Makes one recorder."""

    noisy = False

    def __init__(self) -> None:
        self.built = Recorder()
        self.made: Any = self.built

    def buildProtocol(self, addr: Any) -> Any:
        return self.made


class WebSocketTestCase(SynchronousTestCase):
    """An endpoint with this test as its server."""

    url = "ws://nats.example.com:8080/"

    def setUp(self) -> None:
        if not websocket_socket.HAS_AUTOBAHN:
            self.skipTest("autobahn is not installed")
        self.clock = Clock()
        self.below = Below()
        self.factory = RecorderFactory()
        self.protocol = self.factory.built

    def connect(self) -> Deferred[Any]:
        endpoint = WebSocketEndpoint(self.clock, self.below, url=self.url, timeout=2.0)  # type: ignore[arg-type]
        return endpoint.connect(self.factory)

    def begin(self) -> tuple[Deferred[Any], str]:
        """Up to the request."""
        connecting = self.connect()
        self.below.go()
        return connecting, self.below.transport.sent().decode()

    def accept(self, request: str, then: bytes = b"", extra: str = "") -> None:
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
        self.below.socket.dataReceived(data)

    def lose(self, reason: Exception | None = None) -> None:
        self.below.socket.connectionLost(Failure(reason or ConnectionDone()))

    def open(self) -> Recorder:
        connecting, request = self.begin()
        self.accept(request)
        protocol: Recorder = self.successResultOf(connecting)
        return protocol

    def refused(self, connecting: Deferred[Any]) -> str:
        """The text of the HandshakeError; nothing is left behind."""
        error = self.failureResultOf(connecting, HandshakeError).value
        self.assertTrue(self.below.transport.aborted)
        self.lose(ConnectionAborted())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.protocol.lost, [])
        return str(error)


class HandshakeTests(WebSocketTestCase):
    """What must be before there is a protocol."""

    def test_request(self) -> None:
        """HTTP, without compression."""
        _, request = self.begin()
        self.assertTrue(request.startswith("GET / HTTP/1.1\r\n"))
        self.assertIn("Host: nats.example.com:8080\r\n", request)
        self.assertNotIn("Extensions", request)

    def test_credentials_are_not_sent(self) -> None:
        self.url = "ws://user:hunter2@host:1/"
        self.assertNotIn("hunter2", self.begin()[1])

    def test_ipv6(self) -> None:
        self.url = "ws://[::1]:8080"
        self.assertIn("Host: [::1]:8080\r\n", self.begin()[1])

    def test_accepted(self) -> None:
        """The protocol is built then, and has the transport."""
        connecting, request = self.begin()
        self.assertNoResult(connecting)
        self.accept(request)
        self.assertIs(self.successResultOf(connecting), self.protocol)
        self.assertIsNotNone(self.protocol.transport)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answer_byte_by_byte(self) -> None:
        connecting, request = self.begin()
        accept_at_once, self.receive = self.receive, lambda data: None  # type: ignore[method-assign,assignment]
        whole: list[bytes] = []
        self.receive = whole.append  # type: ignore[method-assign]
        self.accept(request, frame(b"INFO"))
        for byte in b"".join(whole):
            accept_at_once(bytes([byte]))
        self.assertIs(self.successResultOf(connecting), self.protocol)
        self.assertEqual(b"".join(self.protocol.received), b"INFO")

    def test_first_message_with_the_answer(self) -> None:
        """Nothing is lost of what comes in the same piece."""
        connecting, request = self.begin()
        self.accept(request, frame(b"INFO {}\r\n"))
        self.successResultOf(connecting)
        self.assertEqual(self.protocol.received, [b"INFO {}\r\n"])

    def test_refused(self) -> None:
        """The status, and the words that a server has for it."""
        connecting, _ = self.begin()
        self.receive(b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\norigin not allowed\n")
        text = "the server did not accept the WebSocket: HTTP 403 Forbidden: origin not allowed"
        self.assertEqual(self.refused(connecting), text)

    def test_a_web_page(self) -> None:
        connecting, _ = self.begin()
        self.receive(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>")
        self.assertEqual(self.refused(connecting), "the server did not accept the WebSocket: HTTP 200 OK")

    def test_not_http(self) -> None:
        """Such as the port for plain clients; nobody waits for the rest."""
        connecting, _ = self.begin()
        self.receive(info())
        self.assertIn("the response is not HTTP: b'INFO {", self.refused(connecting))

    def test_an_answer_that_cannot_be_read(self) -> None:
        for answer in [b"HTTP/1.1 101 \xff\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"]:
            self.setUp()
            connecting, _ = self.begin()
            self.receive(answer)
            self.assertIn("the server did not accept the WebSocket: ", self.refused(connecting))

    def test_a_wrong_key(self) -> None:
        connecting, request = self.begin()
        self.accept(request.replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x"))
        self.assertIn("Sec-WebSocket-Accept", self.refused(connecting))

    def test_compression_that_nobody_asked_for(self) -> None:
        connecting, request = self.begin()
        self.accept(request, extra="Sec-WebSocket-Extensions: permessage-deflate\r\n")
        self.assertIn("denied by client", self.refused(connecting))

    def test_an_endless_answer(self) -> None:
        """It is not kept for ever."""
        connecting, _ = self.begin()
        self.receive(b"HTTP/1.1 101 a\r\n" + b"X: y\r\n" * 10_000)
        self.assertNoResult(connecting)
        self.receive(b"X: y\r\n" * 1_000)
        self.assertIn("more than 65536 bytes", self.refused(connecting))

    def test_no_answer(self) -> None:
        connecting, _ = self.begin()
        self.clock.advance(1.9)
        self.assertNoResult(connecting)
        self.clock.advance(0.2)
        self.assertEqual(self.refused(connecting), "no response to the WebSocket handshake within 2.0 s")

    def test_an_end_instead_of_an_answer(self) -> None:
        """What ended it can be seen, too, by whoever knows more of it."""
        connecting, _ = self.begin()
        self.lose()
        error = self.failureResultOf(connecting, HandshakeError).value
        self.assertIn("ended during the WebSocket handshake: Connection was closed cleanly", str(error))
        self.assertIsInstance(error.__cause__, ConnectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_there(self) -> None:
        """The failure of the endpoint below stays what it is."""
        self.patch(self.below, "connect", lambda factory: fail(ConnectError()))
        self.failureResultOf(self.connect(), ConnectError)

    def test_cancelled_before_tcp(self) -> None:
        connecting = self.connect()
        connecting.cancel()
        self.assertTrue(self.below.cancelled)
        self.failureResultOf(connecting, CancelledError)

    def test_cancelled_in_the_handshake(self) -> None:
        connecting, _ = self.begin()
        connecting.cancel()
        self.assertTrue(self.below.transport.aborted)
        self.failureResultOf(connecting, CancelledError)
        self.lose(ConnectionAborted())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_factory_that_wants_none(self) -> None:
        self.factory.made = None
        connecting, request = self.begin()
        self.accept(request)
        self.failureResultOf(connecting, NoProtocol)
        self.assertTrue(self.below.transport.aborted)

    def test_factory_knows_of_its_use(self) -> None:
        self.open()
        self.assertEqual(self.factory.numPorts, 1)
        self.below.factory.doStop()
        self.assertEqual(self.factory.numPorts, 0)

    def test_not_a_url(self) -> None:
        """The error has no credentials in it."""
        for url in ["ws://user:hunter2@host:99999/", "nats://hunter2@host", "ws://"]:
            self.url = url
            error = self.assertRaises(SettingError, self.connect)
            self.assertEqual(error.setting, "nats_url")
            self.assertNotIn("hunter2", str(error))


class DataTests(WebSocketTestCase):
    """A stream in messages."""

    def test_a_write_is_one_message(self) -> None:
        transport = self.open().transport
        assert transport
        for size in [1, 125, 126, 65535, 65536, 200_000]:
            transport.write(b"x" * size)
            self.assertEqual(frames(self.below.transport.sent()), [(BINARY, b"x" * size)])
        transport.writeSequence([b"a", b"b"])
        transport.write(bytearray(b"c"))  # type: ignore[arg-type]
        transport.write(b"")
        self.assertEqual(frames(self.below.transport.sent()), [(BINARY, b"ab"), (BINARY, b"c")])

    def test_messages_and_fragments(self) -> None:
        self.open()
        self.receive(frame(b"a") + frame(b"b", fin=False) + frame(b"c", 0, fin=False) + frame(b"", 0) + frame(b"d"))
        self.assertEqual(b"".join(self.protocol.received), b"abcd")

    def test_nothing_is_kept(self) -> None:
        """A frame that says it has 2**40 bytes costs no more than any other: what comes is handed on."""
        self.open()
        self.receive(b"\x82\x7f" + struct.pack("!Q", 1 << 40))
        for _ in range(50):
            self.receive(b"y" * 65536)
            self.assertEqual(self.protocol.received.pop(), b"y" * 65536)
            self.assertEqual(len(self.below.socket.data), 0)

    def test_ping(self) -> None:
        self.open()
        self.receive(frame(b"are you there", PING) + frame(b"", PONG))
        self.assertEqual(frames(self.below.transport.sent()), [(PONG, b"are you there")])

    def test_text(self) -> None:
        self.open()
        self.receive(frame(b"text", TEXT) + frame(b"more"))
        self.assertEqual((self.protocol.received, self.below.transport.aborted), ([], True))
        self.lose(ConnectionAborted())
        self.assertEqual([str(lost.value) for lost in self.protocol.lost], ["a WebSocket text message"])

    def test_violations(self) -> None:
        """They end the connection, and the reason says what it was."""
        for data, problem in [
            (frame(b"x", 3), "reserved opcode"),
            (frame(b"x", flags=0x40), "RSV = 4 and no extension negotiated"),
            (b"\x82\x81abcdx", "masked server-to-client frame"),
            (frame(b"x" * 126, PING), "payload length > 125"),
            (frame(b"x", 0), "continuation data frame outside"),
            (frame(b"\x00\x01", CLOSE), "invalid close code"),
        ]:
            self.setUp()
            self.open()
            self.receive(data)
            self.assertTrue(self.below.transport.aborted, problem)
            self.lose(ConnectionAborted())
            (lost,) = self.protocol.lost
            self.assertIsInstance(lost.value, ProtocolError)
            self.assertIn(problem, str(lost.value))
            self.assertEqual(self.below.transport.sent(), b"")

    def test_a_protocol_that_raises(self) -> None:
        """As over TCP: logged, and the connection is dropped; also for what comes with the answer."""
        for together in (False, True):
            self.setUp()
            self.protocol.problem = ZeroDivisionError()
            connecting, request = self.begin()
            self.accept(request, frame(b"a") if together else b"")
            self.successResultOf(connecting)
            self.receive(frame(b"b"))
            self.assertEqual(len(self.protocol.received), 1)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertTrue(self.below.transport.aborted)
            self.lose(ConnectionAborted())
            self.assertIsInstance(self.protocol.lost[0].value, ZeroDivisionError)

    def test_what_goes_to_the_connection_below(self) -> None:
        transport: Any = self.open().transport
        tcp = self.below.transport
        transport.pauseProducing()
        self.assertEqual(tcp.producerState, "paused")
        transport.resumeProducing()
        self.assertEqual(tcp.producerState, "producing")
        transport.setTcpNoDelay(False)
        self.assertFalse(tcp.no_delay)
        producer = object()
        transport.registerProducer(producer, True)
        self.assertEqual((tcp.producer, tcp.streaming), (producer, True))
        transport.unregisterProducer()
        self.assertIsNone(tcp.producer)
        self.assertEqual((transport.getPeer(), transport.getHost()), (tcp.getPeer(), tcp.getHost()))

    def test_nats(self) -> None:
        """NatsProtocol is content with it."""
        self.factory = NatsFactory(lambda: NatsProtocol(self.clock, name="x", version="1"))  # type: ignore[assignment]
        connecting, request = self.begin()
        self.accept(request, frame(info()))
        protocol: NatsProtocol = self.successResultOf(connecting)
        self.assertTrue(self.below.transport.no_delay)
        said = b"".join(payload for _, payload in frames(self.below.transport.sent()))
        self.assertRegex(said, rb"^CONNECT \{.*\}\r\nPING\r\n$")
        self.receive(frame(b"PONG\r\n"))
        self.assertEqual(self.successResultOf(protocol.ready).server_id, "S")
        protocol.close()
        self.assertEqual(frames(self.below.transport.sent()), [(CLOSE, b"\x03\xe8")])
        self.lose()
        self.assertIn("this side closed the connection", str(self.successResultOf(protocol.closed)))


class EndTests(WebSocketTestCase):
    """connectionLost comes once, with a reason."""

    def setUp(self) -> None:
        super().setUp()
        self.tcp = self.below.transport

    def test_lose_connection(self) -> None:
        """The server closes too when it has read everything; only then TCP ends."""
        transport: Any = self.open().transport
        transport.pauseProducing()
        transport.write(b"last")
        transport.loseConnection()
        transport.loseConnection()
        transport.write(b"too late")
        self.assertEqual(frames(self.tcp.sent()), [(BINARY, b"last"), (CLOSE, b"\x03\xe8")])
        self.assertEqual((self.tcp.producerState, self.tcp.lost_by_us), ("producing", False))
        self.receive(frame(b"not read any more") + frame(b"\x03\xe8", CLOSE))
        self.assertTrue(self.tcp.lost_by_us)
        self.lose()
        self.assertEqual(self.protocol.received, [])
        self.assertEqual([type(lost.value) for lost in self.protocol.lost], [ConnectionDone])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lose_connection_without_an_answer(self) -> None:
        """After the timeout TCP ends all the same."""
        transport: Any = self.open().transport
        transport.loseConnection()
        self.clock.advance(2.0)
        self.assertTrue(self.tcp.lost_by_us)

    def test_abort_connection(self) -> None:
        """At once, also while it closes, and in the middle of what came."""
        transport: Any = self.open().transport
        transport.loseConnection()
        transport.abortConnection()
        self.assertTrue(self.tcp.aborted)
        self.receive(frame(b"more"))
        self.lose(ConnectionAborted())
        transport.abortConnection()
        transport.write(b"more")
        self.assertEqual(self.protocol.received, [])
        self.assertEqual([type(lost.value) for lost in self.protocol.lost], [ConnectionAborted])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_by_the_server(self) -> None:
        """Its words are the reason; it closes TCP, or we do after the timeout."""
        for closes in (True, False):
            self.setUp()
            self.open()
            self.receive(frame(b"\x03\xf0Authentication\x1b Failure", CLOSE) + frame(b"more"))
            self.assertEqual(frames(self.tcp.sent()), [(CLOSE, b"\x03\xe8")])
            if not closes:
                self.clock.advance(2.0)
            self.assertEqual(self.tcp.aborted, not closes)
            self.lose()
            (lost,) = self.protocol.lost
            self.assertIsInstance(lost.value, ConnectionLostError)
            self.assertEqual(str(lost.value), "the server closed the WebSocket: 1008 Authentication? Failure")
            self.assertEqual((self.protocol.received, self.clock.getDelayedCalls()), ([], []))

    def test_closed_by_the_server_without_a_word(self) -> None:
        self.open()
        self.receive(frame(b"", CLOSE))
        self.lose()
        self.assertIn("no reason given", str(self.protocol.lost[0].value))

    def test_tcp_ends(self) -> None:
        self.open()
        self.lose()
        self.assertEqual([type(lost.value) for lost in self.protocol.lost], [ConnectionDone])


class OptionalTests(SynchronousTestCase):
    """Without autobahn."""

    def test_without_autobahn(self) -> None:
        """It can be imported, and the error says what is missing."""
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['autobahn'] = None\n"
            "from natsroute.client.transport.websocket import WebSocketEndpoint\n"
            "try: WebSocketEndpoint(None, None, url='ws://u:hunter2@host:1', timeout=1.0)\n"
            "except ValueError as error: print(type(error).__name__, error)"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(ended.stderr, "")
        self.assertIn("SettingError nats_url = 'ws://***@host:1': WebSocket needs autobahn", ended.stdout)
        self.assertIn("pip install 'natsroute[websocket]'", ended.stdout)

    def test_a_service_without_autobahn(self) -> None:
        """It is told at the start."""
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['autobahn'] = None\n"
            "from natsroute import NatsrouteService, Settings\n"
            "try: NatsrouteService(Settings(nats_url='ws://host:1'))\n"
            "except ValueError as error: print(error)"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("WebSocket needs autobahn", ended.stdout)

    def test_autobahn_is_not_imported_before_it_is_needed(self) -> None:
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import natsroute.client.transport.websocket\n"
        program += "print(any('autobahn' in name or 'txaio' in name for name in sys.modules))"
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((ended.stdout.strip(), ended.stderr), ("False", ""))
