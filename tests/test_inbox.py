"""natsroute.client.inbox"""

from __future__ import annotations

import re

from twisted.internet.defer import Deferred

from natsroute.client.inbox import Inbox
from natsroute.wire.frames import Msg
from tests.support.connection_case import ConnectionTestCase


class InboxTests(ConnectionTestCase):
    """One subscription, many reply subjects."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.connection()
        self.inbox = Inbox(self.client)
        self.connected(self.client)

    def deliver(self, subject: str, data: bytes = b"x") -> None:
        """The server sends a message."""
        self.network.link.receive(b"MSG %b 1 %d\r\n%b\r\n" % (subject.encode(), len(data), data))

    def test_one_subscription(self) -> None:
        """It is made with the first reply subject, and all of them belong to it."""
        self.assertEqual(self.network.link.transport.sent(), b"")
        replies = {self.inbox.open(self.messages.append) for _ in range(300)}
        said = self.network.link.transport.sent().decode()
        found = re.fullmatch(r"SUB (_INBOX\.[0-9a-f]{22})\.\* 1\r\n", said)
        assert found is not None, said
        self.assertEqual((len(replies), len(self.inbox)), (300, 300))
        for reply in replies:
            self.assertRegex(reply, re.escape(found[1]) + r"\.[0-9a-f]{16}\Z")

    def test_each_has_its_receiver(self) -> None:
        others: list[Msg] = []
        first, second = self.inbox.open(self.messages.append), self.inbox.open(others.append)
        self.deliver(second, b"2")
        self.deliver(first, b"1")
        self.deliver(first, b"1b")
        self.assertEqual([msg.data for msg in self.messages], [b"1", b"1b"])
        self.assertEqual([msg.data for msg in others], [b"2"])

    def test_late(self) -> None:
        """What comes to a closed reply subject, or to one that never was, is dropped and counted."""
        reply = self.inbox.open(self.messages.append)
        self.inbox.close(reply)
        self.deliver(reply)
        self.deliver(reply.rpartition(".")[0] + ".guess")
        self.assertEqual((self.messages, self.inbox.late), ([], 2))

    def test_nothing_waits(self) -> None:
        """Neither behind a receiver that is slow, nor for a reply subject that is closed."""
        reply = self.inbox.open(lambda msg: Deferred())
        for _ in range(1000):
            self.deliver(reply)
        self.inbox.close(reply)
        for _ in range(1000):
            self.deliver(reply)
        subscription = self.inbox._subscription
        assert subscription is not None
        self.assertEqual((subscription.received, subscription.pending, self.inbox.late), (2000, 0, 1000))

    def test_after_a_reconnect(self) -> None:
        """The next server has the subscription, too."""
        reply = self.inbox.open(self.messages.append)
        self.clock.advance(60.0)  # a connection that lasted: the next attempt is immediate
        self.network.link.lose()
        self.assertIn(reply.rpartition(".")[0].encode(), self.accept())
        self.deliver(reply)
        self.assertEqual(len(self.messages), 1)

    def test_another_prefix(self) -> None:
        self.assertTrue(Inbox(self.client, "_INBOX_billing").open(print).startswith("_INBOX_billing."))
