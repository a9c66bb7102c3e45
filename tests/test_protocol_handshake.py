"""natsroute.client.protocol: the handshake"""

from __future__ import annotations

import json

from natsroute.client.auth import Credentials
from natsroute.client.options import Security, Timing
from natsroute.client.transport.tls import Tls
from natsroute.errors import (
    AuthorizationError,
    ConnectionLostError,
    HandshakeError,
    ProtocolError,
    TlsError,
)
from tests.support.connection_case import ProtocolTestCase
from tests.support.memory_network import info


class HandshakeTests(ProtocolTestCase):
    """INFO, CONNECT, PING, PONG. The protocol is ready after them."""

    def test_handshake(self) -> None:
        link = self.connect(credentials=Credentials(user="u", password="p"))
        self.assertEqual(link.transport.sent(), b"")
        link.receive(info())
        connect, ping, rest = link.transport.sent().split(b"\r\n")
        self.assertEqual((ping, rest), (b"PING", b""))
        said = json.loads(connect.removeprefix(b"CONNECT "))
        self.assertLessEqual(
            {"verbose": False, "protocol": 1, "name": "test", "version": "1.0", "headers": True}.items(), said.items()
        )
        self.assertEqual((said["user"], said["pass"], said["no_responders"]), ("u", "p", True))
        self.assertNoResult(link.protocol.ready)
        link.receive(b"PONG\r\n")
        self.assertEqual(self.successResultOf(link.protocol.ready).server_id, "S")

    def test_a_token(self) -> None:
        link = self.connect(credentials=Credentials(token="t"))
        self.assertIn(b'"auth_token": "t"', link.shake_hands())

    def test_no_nagle(self) -> None:
        self.assertTrue(self.connect().transport.no_delay)

    def test_a_server_without_headers(self) -> None:
        """CONNECT does not ask for headers."""
        link = self.connect()
        said = link.shake_hands(headers=False)
        self.assertIn(b'"headers": false, "no_responders": false', said)

    def test_refused(self) -> None:
        link = self.connect()
        link.receive(info(auth_required=True))
        link.receive(b"-ERR 'Authorization Violation'\r\n")
        link.lose()
        self.failureResultOf(link.protocol.ready, AuthorizationError)
        self.assertIsInstance(self.successResultOf(link.protocol.closed), AuthorizationError)
        self.assertEqual(self.errors, [])

    def test_silence(self) -> None:
        link = self.connect(timing=Timing(connect_timeout=2.0))
        self.assertEqual(self.clock.getDelayedCalls(), [], "the attempt to connect has the only timeout")
        link.protocol.time_out()
        self.assertTrue(link.transport.aborted)
        link.lose()
        error = self.failureResultOf(link.protocol.ready, HandshakeError)
        self.assertIn("no INFO within 2.0 s", str(error.value))

    def test_silence_after_info(self) -> None:
        link = self.connect()
        link.receive(info())
        link.protocol.time_out()
        link.lose()
        self.assertIn("no PONG", str(self.failureResultOf(link.protocol.ready, HandshakeError).value))

    def test_a_server_that_requires_tls_gets_it(self) -> None:
        """Nothing is sent to it before."""
        link = self.connect(credentials=Credentials(user="u", password="secret"), security=Security(name="a"))
        said: list[bytes] = []
        link.transport.startTLS = lambda options: said.append(link.transport.sent())
        link.receive(info(tls_required=True))
        self.assertEqual(said, [b""])
        self.assertIn(b'"secret"', link.transport.sent())
        link.receive(b"PONG\r\n")
        self.successResultOf(link.protocol.ready)

    def test_a_server_that_offers_tls(self) -> None:
        """TLS starts if we require it."""
        link = self.connect()
        link.receive(info(tls_available=True))
        self.assertIsNone(link.transport.tls)
        link = self.connect(security=Security(required=True, name="a"))
        link.receive(info(tls_available=True))
        self.assertIsNotNone(link.transport.tls)

    def test_tls_required_and_not_offered(self) -> None:
        """Nothing is sent in plain text."""
        link = self.connect(credentials=Credentials(user="u", password="secret"), security=Security(required=True))
        link.receive(info())
        self.assertEqual(link.transport.sent(), b"")
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.assertIn("does not offer it", str(self.failureResultOf(link.protocol.ready, TlsError).value))

    def test_tls_first(self) -> None:
        link = self.connect(security=Security(Tls(first=True), required=True, name="a"))
        self.assertIsNotNone(link.transport.tls)
        link.receive(info(tls_required=True))
        self.assertIn(b"CONNECT", link.transport.sent())

    def test_plain_text_injected_before_tls(self) -> None:
        """Bytes behind INFO may not be from the server that TLS will verify."""
        for injected in (b"MSG a 1 2\r\nhi\r\n", b"M", b"PONG\r\n"):
            link = self.connect(security=Security(required=True))
            link.receive(info(tls_required=True) + injected)
            self.assertIsNone(link.transport.tls)
            self.assertTrue(link.transport.aborted)
            self.assertEqual((self.messages, link.transport.sent()), ([], b""))
            link.lose()
            self.failureResultOf(link.protocol.ready, ProtocolError)

    def test_a_tls_file_that_has_gone(self) -> None:
        link = self.connect(security=Security(Tls(ca_file="/no/such/file"), required=True, name="a"))
        link.receive(info(tls_required=True))
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.assertIn("tls_ca_file = '/no/such/file'", str(self.failureResultOf(link.protocol.ready, TlsError).value))

    def test_an_empty_info(self) -> None:
        """It counts as the first one, so CONNECT is not sent again at the next one."""
        link = self.connect()
        link.receive(b"INFO {}\r\n")
        link.transport.sent()
        link.receive(b"PONG\r\n" + info())
        self.assertEqual(link.transport.sent(), b"")

    def test_over_websocket(self) -> None:
        """The transport decides about TLS."""
        link = self.connect(security=Security(by_transport=True))
        link.receive(info(tls_required=True))
        self.assertIsNone(link.transport.tls)
        self.assertIn(b"CONNECT", link.transport.sent())

    def test_lost_before_ready(self) -> None:
        link = self.connect()
        link.lose()
        self.failureResultOf(link.protocol.ready, ConnectionLostError)

    def test_not_nats(self) -> None:
        link = self.connect()
        link.receive(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.failureResultOf(link.protocol.ready, ProtocolError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
