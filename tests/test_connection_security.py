"""natsroute.client.connection: TLS that is required, and credentials"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from natsroute.client.auth import Credentials
from natsroute.client.servers import parse_url
from natsroute.client.state import ConnectionEvent
from natsroute.errors import (
    MisuseError,
    TlsError,
)
from tests.support.connection_case import ConnectionTestCase
from tests.support.memory_network import info


class SecurityTests(ConnectionTestCase):
    """TLS that is required, and credentials."""

    def test_no_plain_websocket_if_tls_is_required(self) -> None:
        connection = self.connection(
            parse_url("ws://a"), require_tls=True, credentials=lambda: Credentials(user="u", password="p")
        )
        connection.startService()
        self.clock.advance(0)
        self.assertEqual(self.network.asked, [])
        self.assertIsInstance(self.changes[0].reason, TlsError)

    def test_who_requires_tls(self) -> None:
        """The URL, or the option. Over WebSocket it is the transport."""
        for url, require_tls, is_required in (
            ("nats://a", False, False),
            ("nats://a", True, True),
            ("tls://a", False, True),
            ("ws://a", False, False),
        ):
            connection = self.connection(parse_url(url), require_tls=require_tls)
            connection.startService()
            self.clock.advance(0)
            self.network.link.receive(info())
            self.assertEqual(b"CONNECT" not in self.network.link.transport.sent(), is_required, url)
            connection.stopService()

    def test_not_credentials(self) -> None:
        """The error does not contain them, because they may hold a password."""

        async def later() -> Any:
            return {"password": "hunter2"}

        for source in (lambda: {"password": "hunter2"}, lambda: "hunter2", later, lambda: succeed("hunter2")):
            self.changes.clear()
            connection = self.connection(credentials=source)
            connection.startService()
            self.clock.advance(0)
            self.assertIsInstance(self.changes[0].reason, MisuseError)
            self.assertNotIn("hunter2", str(self.changes[0].reason))
            connection.stopService()

    def test_credentials_that_time_out(self) -> None:
        connection = self.connection(credentials=Deferred)
        connection.startService()
        self.clock.pump([0.0, 2.0])
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECT_FAILED, "nats://a:4222")])
        self.successResultOf(connection.stopService())
