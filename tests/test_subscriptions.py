"""natsroute.client.subscriptions, mostly through a connection"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.protocol import NatsProtocol
from natsroute.client.subscription import PendingLimits, Subscription
from natsroute.client.subscriptions import Subscriptions
from natsroute.errors import PermissionsError, SubjectError
from tests.support.connection_case import ConnectionTestCase
from tests.support.memory_network import Link, info


class SubscribeTests(ConnectionTestCase):
    """They outlive each server."""

    def test_subscribed_again(self) -> None:
        connection = self.connection()
        connection.subscribe("a.>", lambda msg: None, "q")
        connection.subscribe("b", lambda msg: None)
        connection.startService()
        self.assertEqual(self.accept(), b"SUB a.> q 1\r\nSUB b 2\r\nPING\r\n")
        self.clock.advance(60)
        self.network.link.lose()
        self.assertEqual(self.accept(), b"SUB a.> q 1\r\nSUB b 2\r\nPING\r\n")

    def test_subscribed_while_connected(self) -> None:
        connection = self.connection()
        self.connected(connection)
        connection.subscribe("a", lambda msg: self.messages.append(msg), "q")
        self.assertEqual(self.network.link.transport.sent(), b"SUB a q 1\r\n")
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\n")
        self.assertEqual([msg.data for msg in self.messages], [b"hi"])

    def test_subscribed_and_unsubscribed_in_the_handshake(self) -> None:
        """The server gets each SUB and UNSUB once."""
        connection = self.connection()
        first = connection.subscribe("a", lambda msg: None)
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info())
        self.assertIn(b"SUB a 1\r\n", self.network.link.transport.sent())
        first.unsubscribe()
        connection.subscribe("b", lambda msg: None)
        self.network.link.receive(b"PONG\r\n")
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\nSUB b 2\r\n")

    def test_refused(self) -> None:
        """Until the server is lost."""
        connection = self.connection()
        subscription = connection.subscribe("a", lambda msg: None)
        self.connected(connection)
        self.network.link.receive(b"-ERR 'Permissions Violation for Subscription to \"a\"'\r\n")
        self.assertIsInstance(subscription.refused, PermissionsError)
        self.network.link.lose()
        self.assertIsNone(subscription.refused)

    def test_malformed(self) -> None:
        connection = self.connection()
        self.assertRaises(SubjectError, connection.subscribe, "a b", lambda msg: None)
        self.assertRaises(SubjectError, connection.subscribe, "a", lambda msg: None, "q\r\nPUB")

    def test_unsubscribed(self) -> None:
        connection = self.connection()
        subscription = connection.subscribe("a", lambda msg: self.messages.append(msg))
        self.connected(connection)
        subscription.unsubscribe()
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\n")
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\n")
        self.assertEqual(self.messages, [])
        self.clock.advance(60)
        self.network.link.lose()
        self.assertEqual(self.accept(), b"PING\r\n")

    def test_auto_unsubscribe_after_a_reconnect(self) -> None:
        connection = self.connection()
        subscription = connection.subscribe("a", lambda msg: self.messages.append(msg))
        self.connected(connection)
        subscription.unsubscribe(5)
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1 5\r\n")
        self.network.link.receive(b"MSG a 1 0\r\n\r\n" * 3)
        self.clock.advance(60)
        self.network.link.lose()
        self.assertEqual(self.accept(), b"SUB a 1\r\nUNSUB 1 2\r\nPING\r\n")
        self.network.link.receive(b"MSG a 1 0\r\n\r\n" * 3)
        self.assertEqual(len(self.messages), 5)

    def test_auto_unsubscribe_asked_for_after_a_reconnect(self) -> None:
        """A server counts from its own SUB. What earlier servers sent counts too."""
        connection = self.connection()
        subscription = connection.subscribe("a", lambda msg: self.messages.append(msg))
        self.connected(connection)
        self.network.link.receive(b"MSG a 1 0\r\n\r\n" * 3)
        self.clock.advance(60)
        self.network.link.lose()
        self.accept()
        self.network.link.receive(b"MSG a 1 0\r\n\r\n")
        self.network.link.transport.sent()
        subscription.unsubscribe(6)
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1 3\r\n")
        self.network.link.receive(b"MSG a 1 0\r\n\r\n" * 2)
        self.assertEqual((len(self.messages), connection.status().messages_in), (6, 6))
        self.assertEqual(self.network.link.transport.sent(), b"")  # the server has counted them too

    def test_auto_unsubscribe_after_a_refusal(self) -> None:
        """The server counts from the SUB that it accepted."""
        connection = self.connection()
        subscription = connection.subscribe("a", lambda msg: self.messages.append(msg))
        self.connected(connection)
        self.network.link.receive(b"MSG a 1 0\r\n\r\n" * 2)
        self.network.link.receive(b'-ERR \'Permissions Violation for Subscription to "a" (sid "1")\'\r\n')
        self.clock.advance(10)
        self.network.link.answer_pings()
        subscription.unsubscribe(3)
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1 1\r\n")

    def test_paused_again_after_a_reconnect(self) -> None:
        """A busy receiver is still busy with a new server."""
        connection, busy = self.connection(), Deferred()
        connection.subscribe("a", lambda msg: busy, limits=PendingLimits(messages=0))
        self.connected(connection)
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\n" * 2)
        self.assertEqual(self.network.link.transport.producerState, "paused")
        self.clock.advance(60)
        self.network.link.lose()
        self.accept()
        self.assertEqual(self.network.link.transport.producerState, "paused")
        busy.callback(None)
        self.assertEqual(self.network.link.transport.producerState, "producing")


class RegistryTests(SynchronousTestCase):
    """Subscriptions, and one protocol after the other."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.subscriptions = Subscriptions(self.clock, lambda refusals: 10.0)
        self.messages: list[Any] = []
        self.answers: list[Deferred[None]] = []  # what on_msg returns

    def add(self, subject: str = "a", queue_group: str | None = None, **limits: Any) -> Subscription:
        return self.subscriptions.add(
            subject, self.on_msg, queue_group, PendingLimits(**limits), on_overflow=lambda error: None
        )

    def on_msg(self, msg: Any) -> Deferred[None] | None:
        self.messages.append(msg)
        return self.answers.pop(0) if self.answers else None

    def connect(self) -> Link:
        """A protocol that is ready, with the subscriptions."""
        protocol = NatsProtocol(Clock(), name="test", version="1.0", on_login=self.subscriptions.subscribe_at)
        link = Link(protocol)
        self.written = link.shake_hands().partition(b"\r\n")[2]
        return link

    def lose(self, link: Link) -> None:
        link.lose()
        self.subscriptions.protocol_ended(link.protocol)

    def test_sids(self) -> None:
        """A number is never used again."""
        self.assertEqual(self.add().sid, 1)
        self.add().unsubscribe()
        self.assertEqual(self.add().sid, 3)
        self.connect()
        self.assertEqual(self.written, b"SUB a 1\r\nSUB a 3\r\nPING\r\n")

    def test_messages(self) -> None:
        self.add()
        link = self.connect()
        self.add("b")
        link.receive(b"MSG a 1 0\r\n\r\nMSG b 2 0\r\n\r\n")
        self.assertEqual([msg.subject for msg in self.messages], ["a", "b"])

    def test_each_protocol_has_receivers_of_its_own(self) -> None:
        """A server that is left still delivers, while the next one has the subscriptions too."""
        self.add()
        first, second = self.connect(), self.connect()
        first.receive(b"MSG a 1 0\r\n\r\n")
        second.receive(b"MSG a 1 0\r\n\r\n")
        self.assertEqual(len(self.messages), 2)
        self.lose(first)
        second.transport.sent()
        self.add("b")
        self.assertEqual(second.transport.sent(), b"SUB b 2\r\n")

    def test_protocol_ended(self) -> None:
        """No more commands go to it."""
        subscription = self.add()
        link = self.connect()
        self.subscriptions.protocol_ended(link.protocol)
        self.add("b")
        subscription.unsubscribe()
        self.assertEqual(link.transport.sent(), b"")

    def test_unsubscribed_twice(self) -> None:
        subscription = self.add()
        link = self.connect()
        subscription.unsubscribe()
        subscription.unsubscribe()
        self.assertEqual(link.transport.sent(), b"UNSUB 1\r\n")
        link.receive(b"MSG a 1 0\r\n\r\n")
        self.assertEqual((self.messages, link.protocol.unknown_sids), ([], 1))

    def test_the_last_message(self) -> None:
        """The subscription ends with it, and what the server sends beyond is not delivered."""
        subscription = self.add()
        link = self.connect()
        subscription.unsubscribe(2)
        link.receive(b"MSG a 1 0\r\n\r\n" * 3)
        self.assertEqual((len(self.messages), link.protocol.unknown_sids), (2, 1))
        self.lose(link)
        self.connect()
        self.assertEqual(self.written, b"PING\r\n")

    def test_max_messages_that_were_received_already(self) -> None:
        """The subscription ends at once."""
        subscription = self.add()
        link = self.connect()
        link.receive(b"MSG a 1 0\r\n\r\n" * 2)
        subscription.unsubscribe(2)
        self.assertEqual(link.transport.sent(), b"UNSUB 1\r\n")

    def test_received(self) -> None:
        """Subscriptions that have ended are counted, once."""
        first = self.add()
        self.add("b")
        link = self.connect()
        link.receive(b"MSG a 1 0\r\n\r\n" * 2 + b"MSG b 2 0\r\n\r\n")
        self.assertEqual(self.subscriptions.received, 3)
        first.unsubscribe()
        self.subscriptions.forget(first)
        self.assertEqual(self.subscriptions.received, 3)

    def test_drain(self) -> None:
        """The next servers get no SUB, until the restart."""
        self.add()
        self.subscriptions.drain()
        self.lose(self.connect())
        self.assertEqual(self.written, b"PING\r\n")
        self.subscriptions.restart()
        self.connect()
        self.assertEqual(self.written, b"SUB a 1\r\nPING\r\n")

    def test_paused_by_two(self) -> None:
        """Reading resumes when neither has too many pending messages."""
        self.answers = [Deferred(), Deferred()]
        busy = list(self.answers)
        self.add(messages=0)
        self.add("b", messages=0)
        link = self.connect()
        link.receive(b"MSG a 1 0\r\n\r\n" * 2 + b"MSG b 2 0\r\n\r\n" * 2)
        self.assertTrue(self.subscriptions.paused)
        busy[0].callback(None)
        self.assertEqual((link.transport.producerState, self.subscriptions.paused), ("paused", True))
        busy[1].callback(None)
        self.assertEqual((link.transport.producerState, self.subscriptions.paused), ("producing", False))

    def test_unsubscribed_while_paused(self) -> None:
        """Reading resumes."""
        self.answers = [Deferred()]
        subscription = self.add(messages=0)
        link = self.connect()
        link.receive(b"MSG a 1 0\r\n\r\n" * 2)
        self.assertEqual(link.transport.producerState, "paused")
        subscription.unsubscribe()
        self.assertEqual((link.transport.producerState, self.subscriptions.paused), ("producing", False))

    def test_refused(self) -> None:
        """By subject and queue group, until the server is gone."""
        plain, grouped = self.add(), self.add(queue_group="q")
        link = self.connect()
        for error in (
            PermissionsError("...", "publish", "a", None),
            PermissionsError("...", "subscription", "b", None),
            PermissionsError("...", "subscription", "a", "q"),
        ):
            self.subscriptions.refuse(link.protocol, error)
        self.assertEqual((plain.refused, grouped.refused), (None, error))
        self.lose(link)
        self.assertIsNone(grouped.refused)

    def test_refused_by_a_server_that_is_left(self) -> None:
        """What counts is the next one."""
        subscription = self.add()
        first, second = self.connect(), self.connect()
        error = PermissionsError("...", "subscription", "a", None)
        self.subscriptions.refuse(first.protocol, error)
        self.assertIsNone(self.subscriptions.refusal)
        self.subscriptions.refuse(second.protocol, error)
        self.assertIs(self.subscriptions.refusal, error)
        self.lose(first)
        self.assertIs(subscription.refused, error)
        self.lose(second)
        self.assertIsNone(subscription.refused)
