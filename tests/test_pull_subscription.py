"""natsroute.jetstream.consuming.pull_subscription"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from natsroute.jetstream.consuming.pull_subscription import PinnedSubscription, PullSubscription
from natsroute.wire.frames import Address, Msg
from tests.support.connection_case import ConnectionTestCase


def message(sequence: int = 1, delivered: int = 1, data: bytes = b"x", form: str = "S.D", block: bytes = b"") -> Msg:
    """A message of a stream."""
    reply = f"$JS.ACK.{form}.{delivered}.{sequence}.{sequence}.1700000000000000000.7".encode()
    return Msg(Address("calls", 1), data, block, reply)


STATUS = Msg(Address("_INBOX.a.1", 1), b"", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n")


class PullSubscriptionTests(ConnectionTestCase):
    """Messages, statuses, and when to ask for more."""

    kind: type[PullSubscription] = PullSubscription

    def setUp(self) -> None:
        super().setUp()
        self.statuses: list[Msg] = []
        self.low = 0
        self.raises = False
        self.busy: Deferred[None] | None = None
        subscription = self.connection().subscribe("_INBOX.a.*", self._on_msg, make=self._make)
        assert isinstance(subscription, PullSubscription)
        self.subscription = subscription
        subscription.ask_above, subscription.allowance = 100, 1000

    def _make(self, *about: Any) -> PullSubscription:
        return self.kind(*about, on_status=self.statuses.append, on_low=self._on_low)

    def _on_msg(self, msg: Msg) -> Deferred[None] | None:
        if self.raises:
            raise ZeroDivisionError
        self.messages.append(msg)
        return self.busy

    def _on_low(self) -> None:
        self.low += 1

    def test_messages_and_statuses(self) -> None:
        msg = message()
        self.subscription.deliver(msg)
        self.subscription.deliver(STATUS)
        self.assertEqual((self.messages, self.statuses), ([msg], [STATUS]))
        self.assertEqual((self.subscription.received, self.subscription.last, self.low), (1, msg.reply_to, 0))

    def test_busy(self) -> None:
        """Messages wait, statuses do not."""
        self.busy = Deferred()
        self.subscription.deliver(message(1))
        self.subscription.deliver(message(2))
        self.subscription.deliver(STATUS)
        self.assertEqual((len(self.messages), len(self.statuses), self.subscription.pending), (1, 1, 1))
        self.assertEqual(self.subscription.pending_replies, [message(2).reply_to])
        self.assertTrue(self.subscription.reads)
        busy, self.busy = self.busy, None
        busy.callback(None)
        self.assertEqual((len(self.messages), self.subscription.pending), (2, 0))

    def test_low(self) -> None:
        """The call comes behind the message that makes it necessary."""
        self.subscription.ask_above = 1
        self.subscription.deliver(message(1))
        self.assertEqual(self.low, 0)
        self.subscription.deliver(message(2))
        self.assertEqual((self.low, len(self.messages)), (1, 2))

    def test_low_bytes(self) -> None:
        self.subscription.deliver(message(data=b"x" * 1000))
        self.assertEqual(self.low, 0)
        self.subscription.deliver(message())
        self.assertEqual(self.low, 1)

    def test_ready_again(self) -> None:
        """A receiver that is ready may make it necessary, too: pending messages count as asked for."""
        self.subscription.hold()
        self.subscription.ask_above = 0
        self.subscription.deliver(message())
        self.low = 0
        self.subscription.release()
        self.assertEqual((self.low, len(self.messages)), (1, 1))

    def test_receiver_raises(self) -> None:
        self.raises = True
        self.subscription.ask_above = 0
        self.subscription.deliver(message())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.subscription.received, self.low), (1, 1))

    def test_redelivered(self) -> None:
        """For each form of the ack subject, and also if the very first message is one."""
        for form in ("S.D", "hub.hash.S.D"):
            self.subscription.redelivered = 0
            for delivered in (2, 1, 1, 3, 10, 1, 11):
                self.subscription.deliver(message(delivered=delivered, form=form))
            self.assertEqual(self.subscription.redelivered, 4, form)

    def test_no_ack_subject(self) -> None:
        """Whatever else has a reply subject is a message."""
        self.subscription.deliver(Msg(Address("calls", 1), b"", b"", b"reply"))
        self.assertEqual((len(self.messages), self.subscription.redelivered), (1, 0))


class PinnedSubscriptionTests(PullSubscriptionTests):
    """The same with the pin of a priority group."""

    kind = PinnedSubscription

    def setUp(self) -> None:
        super().setUp()
        self.pins: list[str] = []
        assert isinstance(self.subscription, PinnedSubscription)
        self.subscription.on_pin = self.pins.append

    def test_pin(self) -> None:
        """Each new one is reported, before the message. The last header is the server's."""
        for block in (
            b"NATS/1.0\r\nNats-Pin-Id: a\r\n\r\n",
            b"NATS/1.0\r\nNats-Pin-Id: a\r\n\r\n",
            b"NATS/1.0\r\nNats-Pin-Id: forged\r\nNats-Pin-Id: b\r\n\r\n",
            b"NATS/1.0\r\nOther: Nats-Pin-Id\r\n\r\n",
            b"Nats-Pin-Id",
        ):
            self.subscription.deliver(message(block=block))
        self.assertEqual(self.pins, ["a", "b"])
        self.assertEqual(len(self.messages), 5)
