"""natsroute.client.connection: subscriptions that the server refuses"""

from __future__ import annotations

from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff
from natsroute.client.state import ConnectionEvent, State
from natsroute.errors import PermissionsError, ServerError, SubscriptionLimitError
from tests.support.connection_case import A, B, ConnectionTestCase
from tests.support.memory_network import info

REFUSED = b'-ERR \'Permissions Violation for Subscription to "a" using queue "q"\'\r\n'
REVOKED = b'-ERR \'Permissions Violation for Subscription to "a" using queue "q" (sid "1")\'\r\n'
LIMIT = b"-ERR 'maximum subscriptions exceeded'\r\n"
ASK = b"SUB a q 1\r\nPING\r\n"


class RefusalTests(ConnectionTestCase):
    """A connection is not connected while a subscription is missing, and asks for it again."""

    def setUp(self) -> None:
        super().setUp()
        self.errors: list[tuple[ServerError, str]] = []

    def new(self) -> Connection:
        """A connection to A with a subscription, and waits of 10, 20, 40 and 50 seconds."""
        connection = self.connection(backoff=Backoff(2.0, 10.0, 0.0, 10.0, 50.0))
        connection.observe_errors(lambda error, server: self.errors.append((error, str(server))))
        self.subscription = connection.subscribe("a", self.messages.append, "q")
        connection.startService()
        self.clock.advance(0)
        return connection

    def refused(self) -> Connection:
        """The server refuses the subscription in the handshake."""
        connection = self.new()
        self.network.link.receive(info() + REFUSED + b"PONG\r\n")
        self.network.link.transport.sent()
        return connection

    def test_in_the_handshake(self) -> None:
        connection = self.refused()
        self.assertEqual(self.events(), [(ConnectionEvent.REFUSED, "nats://a:4222")])
        self.assertIs(connection.state, State.REFUSED)
        self.assertFalse(connection.state.is_connected)
        [(error, server)] = self.errors
        self.assertIsInstance(error, PermissionsError)
        self.assertEqual((server, self.subscription.refused), ("nats://a:4222", error))
        self.assertIs(connection.status().last_error, error)

    def test_accepted_in_the_end(self) -> None:
        """It is asked for with longer and longer waits."""
        connection = self.refused()
        link = self.network.link
        for wait in (10, 20, 40, 50, 50):
            self.clock.advance(wait - 1)
            self.assertNotIn(b"SUB", link.answer_pings(), wait)
            self.clock.advance(1)
            written = link.transport.sent()
            self.assertTrue(written.endswith(ASK), written)
            link.receive(REFUSED + b"PONG\r\n" * written.count(b"PING\r\n"))
            self.assertIs(connection.state, State.REFUSED)
        self.assertEqual(len(self.errors), 6)
        self.clock.advance(50)
        self.changes.clear()
        link.receive(b"PONG\r\n" * link.transport.sent().count(b"PING\r\n"))
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://a:4222")])
        self.assertIsNone(self.subscription.refused)
        link.receive(b"MSG a 1 0\r\n\r\n")
        self.assertEqual((len(self.messages), connection.reconnects), (1, 0))

    def test_revoked(self) -> None:
        """The permission is taken away by a reload, and given back."""
        connection = self.new()
        link = self.network.link
        link.shake_hands()
        link.receive(REVOKED)
        self.assertEqual([event for event, _ in self.events()], [ConnectionEvent.CONNECTED, ConnectionEvent.REFUSED])
        self.assertEqual([server for _, server in self.errors], ["nats://a:4222"])
        self.clock.advance(10)
        self.assertEqual(link.transport.sent(), ASK)
        link.receive(b"PONG\r\n")
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://a:4222")])
        self.assertIs(connection.state, State.CONNECTED)

    def test_a_limit(self) -> None:
        """The server refuses it again because of its number of subscriptions, without naming it."""
        connection = self.refused()
        self.clock.advance(10)
        self.network.link.receive(LIMIT + b"PONG\r\n")
        self.assertIs(connection.state, State.REFUSED)
        self.assertIsInstance(self.subscription.refused, SubscriptionLimitError)

    def test_above_the_limit(self) -> None:
        """A subscription that is made while connected is the one above the limit."""
        connection = self.new()
        self.network.link.shake_hands()
        second = connection.subscribe("b", self.messages.append)
        self.network.link.receive(LIMIT)
        self.assertIsInstance(second.refused, SubscriptionLimitError)
        self.assertEqual((self.subscription.refused, connection.state), (None, State.REFUSED))

    def test_publishing(self) -> None:
        """It works meanwhile."""
        connection = self.refused()
        published = connection.write_and_ping(b"PUB b 0\r\n\r\n", 1)
        self.network.link.receive(b"PONG\r\n")
        self.successResultOf(published)
        self.assertEqual(connection.max_payload, 1024)
        self.assertIs(connection.state, State.REFUSED)

    def test_a_refused_publish(self) -> None:
        """It refuses no subscription."""
        connection = self.new()
        self.network.link.shake_hands()
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n")
        self.assertIs(connection.state, State.CONNECTED)

    def test_unsubscribed(self) -> None:
        """Nothing is missing any more."""
        connection = self.refused()
        self.subscription.unsubscribe()
        self.assertIs(connection.state, State.CONNECTED)
        self.network.link.transport.sent()
        self.clock.advance(100)
        self.assertNotIn(b"SUB", self.network.link.transport.sent())

    def test_drained(self) -> None:
        connection = self.refused()
        drained = connection.drain()
        self.assertIs(connection.state, State.DRAINING)
        self.network.link.receive(REFUSED)
        self.network.link.answer_pings()
        self.successResultOf(drained)
        self.assertIs(connection.state, State.CONNECTED)
        self.clock.advance(100)
        self.assertNotIn(b"SUB", self.network.link.transport.sent())

    def test_lost(self) -> None:
        """The next server is asked at once."""
        connection = self.refused()
        self.clock.advance(5)
        self.network.link.lose()
        self.assertEqual([event for event, _ in self.events()], [ConnectionEvent.REFUSED, ConnectionEvent.DISCONNECTED])
        self.assertIsNone(self.subscription.refused)
        self.clock.advance(2)
        self.assertIn(b"SUB a q 1", self.accept())
        self.assertIs(connection.state, State.CONNECTED)
        self.clock.advance(60)
        self.assertNotIn(b"SUB", self.network.link.transport.sent())

    def test_lost_while_it_asks(self) -> None:
        self.refused()
        self.clock.advance(10)
        self.network.link.lose()
        self.clock.advance(2)
        self.accept()
        self.assertEqual(self.events()[-1][0], ConnectionEvent.CONNECTED)

    def test_stopped(self) -> None:
        connection = self.refused()
        stopped = connection.stopService()
        self.network.link.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lame_duck(self) -> None:
        """The server is left as if it had accepted the subscription."""
        connection = self.connection(A, B)
        connection.subscribe("a", self.messages.append)
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info() + REFUSED.replace(b' using queue "q"', b"") + b"PONG\r\n")
        self.assertIs(connection.state, State.REFUSED)
        self.network.link.receive(info(ldm=True))
        self.assertIs(connection.state, State.LAME_DUCK)

    def test_a_flood_in_the_handshake(self) -> None:
        """No more errors are kept than there are subscriptions."""
        self.new()
        self.network.link.receive(info() + REFUSED * 1000 + b"PONG\r\n")
        self.assertEqual(len(self.errors), 1)
