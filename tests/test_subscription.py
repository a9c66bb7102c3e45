"""natsroute.client.subscription"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.subscription import PENDING_POLICIES, PendingLimits, PendingPolicy, Subscription
from natsroute.errors import PendingLimitError
from natsroute.wire.frames import Address, Msg


class RecordingConnection:
    """What a subscription asks of its connection."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pause(self, subscription: Subscription) -> None:
        self.asked.append("pause")

    def resume(self, subscription: Subscription) -> None:
        self.asked.append("resume")

    def forget(self, subscription: Subscription) -> None:
        self.asked.append("forget")


class SubscriptionTests(SynchronousTestCase):
    """Messages one after the other, at the pace of the receiver."""

    def setUp(self) -> None:
        self.connection: Any = RecordingConnection()
        self.got: list[bytes] = []
        self.answers: list[Deferred[None] | None] = []

    def subscription(self, limits: PendingLimits = PendingLimits()) -> Subscription:
        return Subscription(self.connection, 1, "a", None, self.receive, limits)

    def receive(self, msg: Msg) -> Deferred[None] | None:
        self.got.append(msg.data)
        return self.answers.pop(0) if self.answers else None

    def deliver(self, subscription: Subscription, *payloads: bytes) -> None:
        for payload in payloads:
            subscription.deliver(Msg(Address("a", 1), payload))

    def test_a_quick_receiver(self) -> None:
        subscription = self.subscription()
        self.deliver(subscription, b"1", b"2")
        self.assertEqual((self.got, subscription.received, subscription.pending), ([b"1", b"2"], 2, 0))
        self.assertEqual(self.connection.asked, [])

    def test_a_busy_receiver(self) -> None:
        """Nothing follows before its Deferred has fired; then all that waits, in order."""
        busy: Deferred[None] = Deferred()
        self.answers = [busy]
        subscription = self.subscription()
        self.deliver(subscription, b"1", b"2", b"3")
        self.assertEqual((self.got, subscription.pending), ([b"1"], 2))
        busy.callback(None)
        self.assertEqual((self.got, subscription.pending), ([b"1", b"2", b"3"], 0))

    def test_a_failed_deferred_means_next_too(self) -> None:
        busy: Deferred[None] = Deferred()
        self.answers = [busy]
        subscription = self.subscription()
        self.deliver(subscription, b"1", b"2")
        busy.errback(ZeroDivisionError())
        self.assertEqual(self.got, [b"1", b"2"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_receiver_that_raises(self) -> None:
        """It is logged, and the next message goes on."""

        def raising(msg: Msg) -> None:
            self.got.append(msg.data)
            raise ZeroDivisionError

        subscription = Subscription(self.connection, 1, "a", None, raising, PendingLimits())
        self.deliver(subscription, b"1", b"2")
        self.assertEqual(self.got, [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_many_waiting_receivers_that_are_done_at_once(self) -> None:
        """A Deferred that has fired already costs no stack."""
        busy: Deferred[None] = Deferred()
        self.answers = [busy, *(succeed(None) for _ in range(20_000))]
        subscription = self.subscription()
        self.deliver(subscription, *[b"x"] * 20_000)
        busy.callback(None)
        self.assertEqual((len(self.got), subscription.pending), (20_000, 0))

    def test_reading_stops_above_the_messages_and_goes_on_at_half(self) -> None:
        subscription = self.subscription(PendingLimits(messages=4))
        first: Deferred[None] = Deferred()
        rest: list[Deferred[None]] = [Deferred() for _ in range(5)]
        self.answers = [first, *rest]
        self.deliver(subscription, *[b"x"] * 5)
        self.assertEqual(self.connection.asked, [])
        self.deliver(subscription, b"x")
        self.assertEqual(self.connection.asked, ["pause"])
        first.callback(None)
        rest[0].callback(None)
        self.assertEqual((self.connection.asked, subscription.pending), (["pause"], 3))
        rest[1].callback(None)
        self.assertEqual((self.connection.asked[:2], subscription.pending), (["pause", "resume"], 2))

    def test_reading_stops_above_the_bytes(self) -> None:
        subscription = self.subscription(PendingLimits(bytes=10))
        busy: Deferred[None] = Deferred()
        self.answers = [busy]
        self.deliver(subscription, b"-", b"x" * 10)
        self.assertEqual(self.connection.asked, [])
        self.deliver(subscription, b"x")
        self.assertEqual(self.connection.asked, ["pause"])
        busy.callback(None)
        self.assertEqual(self.connection.asked[1], "resume")

    def overflowing(self, policy: PendingPolicy, limits: dict[str, int], *payloads: bytes) -> Subscription:
        """A subscription that is held while this comes."""
        self.told: list[PendingLimitError] = []
        subscription = Subscription(
            self.connection, 1, "a", "q", self.receive, PendingLimits(policy=policy, **limits), self.told.append
        )
        subscription.hold()
        self.deliver(subscription, *payloads)
        return subscription

    def test_drop_newest(self) -> None:
        subscription = self.overflowing("drop_newest", {"messages": 2}, b"1", b"2", b"3", b"4")
        self.assertEqual((subscription.received, subscription.dropped, subscription.pending), (4, 2, 2))
        subscription.release()
        self.assertEqual((self.got, self.connection.asked), ([b"1", b"2"], ["resume"]))

    def test_drop_oldest(self) -> None:
        subscription = self.overflowing("drop_oldest", {"messages": 2}, b"1", b"2", b"3", b"4")
        self.assertEqual((subscription.received, subscription.dropped, subscription.pending), (4, 2, 2))
        subscription.release()
        self.assertEqual(self.got, [b"3", b"4"])

    def test_drop_by_bytes(self) -> None:
        """As many as it takes; one that is too large alone is dropped itself."""
        subscription = self.overflowing("drop_oldest", {"bytes": 10}, b"1" * 5, b"2" * 5, b"3" * 6)
        self.assertEqual((subscription.dropped, subscription.pending), (2, 1))
        self.deliver(subscription, b"4" * 11)
        self.assertEqual((subscription.dropped, subscription.pending), (4, 0))

    def test_each_episode_is_told_once(self) -> None:
        """It begins above the limit, and ends at half of it."""
        for policy in PENDING_POLICIES:
            subscription = self.overflowing(policy, {"messages": 4}, *[b"x"] * 8)
            self.assertEqual([(error.messages, error.bytes) for error in self.told], [(5, 5)])
            self.assertEqual(
                str(self.told[0]), f"the routes of a:q are too slow: 5 messages with 5 bytes are waiting ({policy})"
            )
            busy: Deferred[None] = Deferred()
            self.answers = [busy]
            subscription.release()
            self.deliver(subscription, *[b"x"] * 8)
            self.assertEqual(len(self.told), 1, "it has not come down to half")
            self.answers = [None] * 100
            busy.callback(None)
            subscription.hold()
            self.deliver(subscription, *[b"x"] * 8)
            self.assertEqual(len(self.told), 2)

    def test_holds_are_counted(self) -> None:
        subscription = self.subscription()
        subscription.hold()
        subscription.hold()
        self.deliver(subscription, b"1")
        subscription.release()
        self.assertEqual(self.got, [])
        subscription.release()
        self.assertEqual(self.got, [b"1"])

    def test_held_by_its_own_receiver(self) -> None:
        """What the receiver does to the subscription in the middle of a batch takes effect at once."""
        subscription = self.subscription()

        def holding(msg: Msg) -> None:
            self.got.append(msg.data)
            subscription.hold()

        subscription = Subscription(self.connection, 1, "a", None, holding, PendingLimits())
        self.deliver(subscription, b"1", b"2", b"3")
        self.assertEqual(self.got, [b"1"])
        subscription.release()
        self.assertEqual(self.got, [b"1", b"2"])
