"""natsroute.client.connection: what it sends in plain text, and what not"""

from __future__ import annotations

from natsroute.client.auth import Credentials
from natsroute.client.connection import Connection
from natsroute.client.servers import Server, parse_url
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.tls_memory import TlsMemory
from natsroute.client.transport.tls import Tls
from natsroute.errors import AuthorizationError, TlsError
from tests.support.connection_case import ConnectionTestCase
from tests.support.memory_network import info

LOGIN = Credentials(user="u", password="hunter2")


class AfterTlsTests(ConnectionTestCase):
    """Nothing is sent in plain text to a server that has used TLS, or to one that it named."""

    def setUp(self) -> None:
        super().setUp()
        self.memory = TlsMemory()

    def new(self, *servers: Server, tls: Tls = Tls()) -> Connection:
        return self.connection(*servers, credentials=lambda: LOGIN, tls_memory=self.memory, tls=tls)

    def refused(self) -> None:
        """The newest attempt has sent nothing, and says why."""
        self.assertEqual(self.network.link.transport.sent(), b"")
        self.assertTrue(self.network.link.transport.aborted)
        self.network.link.lose()
        reason = self.changes[-1].reason
        self.assertIs(self.changes[-1].event, ConnectionEvent.CONNECT_FAILED)
        self.assertIsInstance(reason, TlsError)
        self.assertIn("used TLS before", str(reason))

    def test_the_same_server(self) -> None:
        self.connected_with_tls(self.new())
        self.network.link.lose()
        self.clock.advance(10)
        self.network.link.receive(info())
        self.refused()
        self.clock.advance(10)
        self.network.link.shake_hands(tls_required=True)
        self.assertIs(self.changes[-1].event, ConnectionEvent.CONNECTED)

    def test_a_server_that_offers_tls(self) -> None:
        """TLS is used, although it is not required any more."""
        self.connected_with_tls(self.new())
        self.network.link.lose()
        self.clock.advance(10)
        self.network.link.receive(info(tls_available=True))
        self.assertIsNotNone(self.network.link.transport.tls)

    def test_a_server_that_it_named(self) -> None:
        self.connected_with_tls(self.new(), connect_urls=["b:4222"])
        self.network.link.lose()
        self.clock.advance(0)
        self.assertEqual(self.network.asked[-1], "nats://b:4222")
        self.network.link.receive(info())
        self.refused()

    def test_another_connection(self) -> None:
        """Those of one service share what they know."""
        self.connected_with_tls(self.new())
        other = self.new()
        other.startService()
        self.clock.advance(0)
        self.network.link.receive(info())
        self.refused()

    def test_a_refused_login(self) -> None:
        """The server has used TLS, even if nobody was connected."""
        connection = self.new()
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info(tls_required=True))
        self.network.link.receive(b"-ERR 'Authorization Violation'\r\n")
        self.network.link.lose()
        self.assertIsInstance(self.changes[-1].reason, AuthorizationError)
        self.clock.advance(10.0)
        self.network.link.receive(info())
        self.refused()

    def test_tls_that_failed(self) -> None:
        """A server without a valid certificate proves nothing: anybody could keep us from the real one."""
        connection = self.new()
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info(tls_required=True))
        self.network.link.lose()
        self.clock.advance(10)
        self.network.link.shake_hands()
        self.assertIs(connection.state, State.CONNECTED)

    def test_tls_first(self) -> None:
        """Memory is no reason to begin TLS before INFO at a server whose URL does not ask for TLS."""
        self.connected_with_tls(self.new(tls=Tls(first=True)))
        self.network.link.lose()
        self.clock.advance(10)
        self.assertIsNone(self.network.link.transport.tls)

    def test_websocket(self) -> None:
        """``ws://`` to such a server is refused before anything is sent."""
        self.memory.used_tls(parse_url("wss://a:8080"))
        connection = self.new(parse_url("ws://a:8080"))
        connection.startService()
        self.clock.advance(0)
        self.assertEqual(self.network.asked, [])
        self.assertIsInstance(self.changes[-1].reason, TlsError)

    def connected_with_tls(self, connection: Connection, **fields: object) -> None:
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info(tls_required=True, **fields))
        self.network.link.receive(b"PONG\r\n")
        self.assertIs(connection.state, State.CONNECTED)
        self.clock.advance(60)
