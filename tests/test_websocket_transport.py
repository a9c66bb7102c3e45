"""natsroute.client.transport.websocket_transport"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, NoProtocol

from natsroute.errors import ConnectionLostError, HandshakeError
from tests.support.memory_websocket import BINARY, CLOSE, WebSocketTestCase, frame, frames


class OpenTests(WebSocketTestCase):
    """Until there is a protocol."""

    def test_accepted(self) -> None:
        """The protocol is built when the server accepts, and has the transport."""
        connecting, request = self.begin()
        self.assertNoResult(connecting)
        self.accept(request)
        self.assertIs(self.successResultOf(connecting), self.protocol)
        self.assertIsNotNone(self.protocol.transport)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_first_message_with_the_response(self) -> None:
        """A frame in the same chunk is not lost."""
        connecting, request = self.begin()
        self.accept(request, frame(b"INFO {}\r\n"))
        self.successResultOf(connecting)
        self.assertEqual(self.protocol.received, [b"INFO {}\r\n"])

    def test_no_response(self) -> None:
        connecting, _ = self.begin()
        self.clock.advance(1.9)
        self.assertNoResult(connecting)
        self.clock.advance(0.2)
        self.assertEqual(self.refused(connecting), "no response to the WebSocket handshake within 2.0 s")

    def test_lost_during_the_handshake(self) -> None:
        """The cause of the HandshakeError is the failure of the transport."""
        connecting, _ = self.begin()
        self.lose()
        error = self.failureResultOf(connecting, HandshakeError).value
        self.assertIn("ended during the WebSocket handshake: Connection was closed cleanly", str(error))
        self.assertIsInstance(error.__cause__, ConnectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_factory_that_builds_nothing(self) -> None:
        self.factory.made = None
        connecting, request = self.begin()
        self.accept(request)
        self.failureResultOf(connecting, NoProtocol)
        self.assertTrue(self.below.transport.aborted)


class DataTests(WebSocketTestCase):
    """What the protocol writes and receives."""

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

    def test_a_protocol_that_raises(self) -> None:
        """As over TCP, the exception is logged and the connection is aborted; also in the chunk of the response."""
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

    def test_calls_to_the_transport_below(self) -> None:
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


class EndTests(WebSocketTestCase):
    """connectionLost is called once, with a reason."""

    def setUp(self) -> None:
        super().setUp()
        self.tcp = self.below.transport

    def test_lose_connection(self) -> None:
        """TCP is closed when the server has answered, and so has read everything."""
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
        """TCP is closed after the timeout."""
        transport: Any = self.open().transport
        transport.loseConnection()
        self.clock.advance(2.0)
        self.assertTrue(self.tcp.lost_by_us)

    def test_abort_connection(self) -> None:
        """It is aborted at once, also while it is closing. No more data is delivered."""
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
        """The reason has its text. The server closes TCP, or we do after the timeout."""
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
            self.assertEqual(str(lost.value), r"the server closed the WebSocket: 1008 Authentication\x1b Failure")
            self.assertEqual((self.protocol.received, self.clock.getDelayedCalls()), ([], []))

    def test_tcp_ends(self) -> None:
        self.open()
        self.lose()
        self.assertEqual([type(lost.value) for lost in self.protocol.lost], [ConnectionDone])
