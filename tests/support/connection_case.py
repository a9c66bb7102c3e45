"""Test cases with a connection, or one protocol, to servers in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.connection import Connection
from natsroute.client.options import Timing
from natsroute.client.protocol import NatsProtocol
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import ServerError
from natsroute.wire.frames import Msg
from tests.support.memory_network import Link, MemoryNetwork

A, B = Server("a"), Server("b")


class ConnectionTestCase(SynchronousTestCase):
    """A Connection to servers in memory, and a list of the changes that it reports."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.clock = self.network.clock
        self.changes: list[Change] = []
        self.messages: list[Msg] = []

    def connection(self, *servers: Server, backoff: Backoff = Backoff(2.0, 10.0, 0.0), **options: Any) -> Connection:
        """A connection that is not started; to ``A`` unless others are given."""
        connection = Connection(
            self.clock,
            ServerPool(servers or (A,), backoff, keep_order=True),
            timing=Timing(connect_timeout=2.0),
            endpoint_for=self.network.endpoint_for,
            **options,
        )
        connection.observe(self.changes.append)
        return connection

    def events(self) -> list[tuple[ConnectionEvent, str]]:
        """The changes since the last call: event and server."""
        events = [(change.event, str(change.server)) for change in self.changes]
        self.changes.clear()
        return events

    def connected(self, connection: Connection) -> None:
        """Start it, and let the handshake succeed."""
        connection.startService()
        self.accept()

    def accept(self) -> bytes:
        """Let the newest handshake succeed. Returns what the client wrote behind CONNECT."""
        self.clock.advance(0)
        return self.network.link.shake_hands().partition(b"\r\n")[2]


class ProtocolTestCase(SynchronousTestCase):
    """A NatsProtocol with this test as its server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.messages: list[Msg] = []
        self.errors: list[ServerError] = []

    def connect(self, **options: Any) -> Link:
        """A connection to a server that has said nothing, with a subscription."""
        link = Link(NatsProtocol(self.clock, name="test", version="1.0", on_error=self.errors.append, **options))
        link.protocol.sub("a", 1, self.messages.append)
        link.transport.sent()
        return link

    def connected(self, **options: Any) -> Link:
        """The same, and the handshake is done."""
        link = self.connect(**options)
        link.shake_hands()
        self.successResultOf(link.protocol.ready)
        return link
