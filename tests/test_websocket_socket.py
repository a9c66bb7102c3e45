"""natsroute.client.transport.websocket_socket"""

from __future__ import annotations

import struct

from twisted.internet.error import ConnectionAborted

from natsroute.errors import ProtocolError
from tests.support.memory_network import info
from tests.support.memory_websocket import CLOSE, PING, PONG, TEXT, WebSocketTestCase, frame, frames


class HandshakeTests(WebSocketTestCase):
    """The opening handshake."""

    def test_request(self) -> None:
        """The HTTP request does not offer compression."""
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

    def test_response_byte_by_byte(self) -> None:
        connecting, request = self.begin()
        accept_at_once, self.receive = self.receive, lambda data: None  # type: ignore[method-assign,assignment]
        whole: list[bytes] = []
        self.receive = whole.append  # type: ignore[method-assign]
        self.accept(request, frame(b"INFO"))
        for byte in b"".join(whole):
            accept_at_once(bytes([byte]))
        self.assertIs(self.successResultOf(connecting), self.protocol)
        self.assertEqual(b"".join(self.protocol.received), b"INFO")

    def test_refused(self) -> None:
        """The error has the status and the explanation of the server."""
        connecting, _ = self.begin()
        self.receive(b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\norigin not allowed\n")
        text = "the server did not accept the WebSocket: HTTP 403 Forbidden: origin not allowed"
        self.assertEqual(self.refused(connecting), text)

    def test_html(self) -> None:
        connecting, _ = self.begin()
        self.receive(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>")
        self.assertEqual(self.refused(connecting), "the server did not accept the WebSocket: HTTP 200 OK")

    def test_not_http(self) -> None:
        """The port for plain clients, for example. The attempt fails at the first bytes."""
        connecting, _ = self.begin()
        self.receive(info())
        self.assertIn("the response is not HTTP: b'INFO {", self.refused(connecting))

    def test_malformed_response(self) -> None:
        for answer in [b"HTTP/1.1 101 \xff\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"]:
            self.setUp()
            connecting, _ = self.begin()
            self.receive(answer)
            self.assertIn("the server did not accept the WebSocket: ", self.refused(connecting))

    def test_a_wrong_key(self) -> None:
        connecting, request = self.begin()
        self.accept(request.replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x"))
        self.assertIn("Sec-WebSocket-Accept", self.refused(connecting))

    def test_compression_that_was_not_offered(self) -> None:
        connecting, request = self.begin()
        self.accept(request, extra="Sec-WebSocket-Extensions: permessage-deflate\r\n")
        self.assertIn("denied by client", self.refused(connecting))

    def test_an_endless_response(self) -> None:
        """The buffer has a limit."""
        connecting, _ = self.begin()
        self.receive(b"HTTP/1.1 101 a\r\n" + b"X: y\r\n" * 10_000)
        self.assertNoResult(connecting)
        self.receive(b"X: y\r\n" * 1_000)
        self.assertIn("more than 65536 bytes", self.refused(connecting))


class FrameTests(WebSocketTestCase):
    """Frames and messages."""

    def test_messages_and_fragments(self) -> None:
        self.open()
        self.receive(frame(b"a") + frame(b"b", fin=False) + frame(b"c", 0, fin=False) + frame(b"", 0) + frame(b"d"))
        self.assertEqual(b"".join(self.protocol.received), b"abcd")

    def test_nothing_is_kept(self) -> None:
        """A frame with a length of 2**40 bytes needs no memory: its data is passed on as it arrives."""
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
        """The connection is aborted, and the reason names the violation."""
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

    def test_closed_by_the_server_without_a_reason(self) -> None:
        self.open()
        self.receive(frame(b"", CLOSE))
        self.lose()
        self.assertIn("no reason given", str(self.protocol.lost[0].value))
