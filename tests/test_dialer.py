"""natsroute.client.dialer"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.dialer import Dialer
from natsroute.client.options import InboundLimits, Timing
from natsroute.client.protocol import NatsProtocol
from natsroute.client.servers import parse_url
from natsroute.client.tls_memory import TlsMemory
from natsroute.client.transport.tls import Tls
from natsroute.errors import TlsError
from natsroute.wire.frames import Msg
from tests.support.memory_network import MemoryNetwork, info


class DialerTests(SynchronousTestCase):
    """Its attempts, in a network in memory."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.memory = TlsMemory()
        self.asked = 0
        self.reported: list[tuple[str, Any]] = []

    def credentials(self) -> Credentials:
        self.asked += 1
        return Credentials(token="asked")

    def start(self, url: str, require_tls: bool = False) -> Deferred[NatsProtocol]:
        dialer = Dialer(
            clock=self.network.clock,
            client_name="me",
            credentials=self.credentials,
            tls=Tls(),
            require_tls=require_tls,
            tls_memory=self.memory,
            timing=Timing(connect_timeout=3.0),
            inbound_limits=InboundLimits(),
            message_type=Msg,
            endpoint_for=self.network.endpoint_for,
            resolve=lambda name: succeed([name]),
        )
        return dialer.attempt(
            parse_url(url),
            on_protocol=lambda protocol: self.reported.append(("protocol", protocol.state.value)),
            on_login=lambda protocol: self.reported.append(("login", protocol.state.value)),
            on_info=lambda protocol, info: self.reported.append(("info", info.version)),
            on_error=lambda protocol, error: self.reported.append(("error", error.text)),
        ).start()

    def test_attempt(self) -> None:
        """It reports what happens, and logs in as asked."""
        result = self.start("nats://a")
        said = self.network.link.shake_hands()
        self.assertIn(b'"auth_token": "asked"', said)
        self.assertIn(b'"name": "me"', said)
        self.assertIs(self.successResultOf(result), self.network.link.protocol)
        self.network.link.receive(info(version="2"))
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n")
        self.assertEqual([name for name, _ in self.reported], ["protocol", "login", "info", "error"])
        self.assertEqual(self.reported[0][1], "awaiting INFO")

    def test_credentials_of_the_url(self) -> None:
        self.start("nats://secret@a")
        self.assertIn(b'"auth_token": "secret"', self.network.link.shake_hands())
        self.assertEqual(self.asked, 0)

    def test_timeout(self) -> None:
        self.start("nats://a").addErrback(lambda failure: None)
        self.network.clock.advance(2.9)
        self.assertFalse(self.network.link.transport.aborted)
        self.network.clock.advance(0.1)
        self.assertTrue(self.network.link.transport.aborted)

    def test_required(self) -> None:
        """By the URL or by the settings: nothing is sent without TLS, and nobody is asked for credentials for ws://."""
        for url, require_tls in (("tls://a", False), ("nats://a", True)):
            result = self.start(url, require_tls)
            self.network.link.receive(info())
            self.assertEqual(self.network.link.transport.sent(), b"")
            self.network.link.lose()
            self.failureResultOf(result, TlsError)
        self.asked = 0
        self.failureResultOf(self.start("ws://a", require_tls=True), TlsError)
        self.assertEqual(self.asked, 0)

    def test_remembers_tls(self) -> None:
        """As soon as something comes over TLS; see tests.test_connection_tls for what follows."""
        result = self.start("nats://a")
        self.network.link.receive(info(tls_required=True))
        self.assertFalse(self.memory.requires_tls(parse_url("nats://a")))
        self.network.link.receive(b"PONG\r\n")
        self.successResultOf(result)
        self.assertTrue(self.memory.requires_tls(parse_url("nats://a")))
