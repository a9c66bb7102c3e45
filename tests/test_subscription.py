"""natsroute.client.subscription"""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.subscription import PENDING_POLICIES, PendingLimits, PendingPolicy, Subscription
from natsroute.errors import PendingLimitError
from natsroute.turns import MAX_TURN, SharedTurns
from natsroute.wire.frames import Address, Msg
from tests.support.waiting import run_one_call


class RecordingOwner:
    """Keeps what a subscription asks of its owner."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.clock = Clock()
        self.turns = SharedTurns(self.clock)

    def pause(self, subscription: Subscription) -> None:
        self.asked.append("pause")

    def resume(self, subscription: Subscription) -> None:
        self.asked.append("resume")

    def forget(self, subscription: Subscription) -> None:
        self.asked.append("forget")

    def unsubscribe(self, subscription: Subscription, max_messages: int | None) -> None:
        self.asked.append(f"unsubscribe {max_messages}")


class SubscriptionTests(SynchronousTestCase):
    """Messages one after the other, as fast as the receiver takes them."""

    def setUp(self) -> None:
        self.owner: Any = RecordingOwner()
        self.got: list[bytes] = []
        self.answers: list[Deferred[None] | None] = []

    def subscription(self, limits: PendingLimits = PendingLimits()) -> Subscription:
        return Subscription(self.owner, 1, "a", None, self.receive, limits)

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
        self.assertEqual(self.owner.asked, [])

    def test_a_busy_receiver(self) -> None:
        """The next message follows when its Deferred has fired. The order is kept."""
        busy: Deferred[None] = Deferred()
        self.answers = [busy]
        subscription = self.subscription()
        self.deliver(subscription, b"1", b"2", b"3")
        self.assertEqual((self.got, subscription.pending), ([b"1"], 2))
        busy.callback(None)
        self.assertEqual((self.got, subscription.pending), ([b"1", b"2", b"3"], 0))

    def test_another_receiver(self) -> None:
        """It gets what is pending, too; one that changes the receiver itself has had its message."""
        busy: Deferred[None] = Deferred()
        others: list[bytes] = []
        self.answers = [busy]
        subscription = self.subscription()

        def other(msg: Msg) -> None:
            others.append(msg.data)
            subscription.hand_to(self.receive, {})

        self.deliver(subscription, b"1", b"2", b"3")
        subscription.hand_to(other, {})
        busy.callback(None)
        self.deliver(subscription, b"4")
        self.assertEqual((self.got, others), ([b"1", b"3", b"4"], [b"2"]))

    def test_messages_that_are_taken_out(self) -> None:
        """The receiver does not get them. What comes later waits as before, up to the whole limits."""
        busy: Deferred[None] = Deferred()
        self.answers = [busy]
        subscription = self.subscription(PendingLimits(messages=2))
        self.deliver(subscription, b"1", b"2", b"3")
        self.assertEqual([msg.data for msg in subscription.take_pending()], [b"2", b"3"])
        self.assertEqual(subscription.pending, 0)
        self.deliver(subscription, b"4", b"5")
        self.assertEqual(self.owner.asked, [])
        busy.callback(None)
        self.assertEqual(self.got, [b"1", b"4", b"5"])

    def test_a_failed_deferred_means_next_too(self) -> None:
        busy: Deferred[None] = Deferred()
        self.answers = [busy]
        subscription = self.subscription()
        self.deliver(subscription, b"1", b"2")
        busy.errback(ZeroDivisionError())
        self.assertEqual(self.got, [b"1", b"2"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_receiver_that_raises(self) -> None:
        """The exception is logged, and the next message follows."""

        def raising(msg: Msg) -> None:
            self.got.append(msg.data)
            raise ZeroDivisionError

        subscription = Subscription(self.owner, 1, "a", None, raising, PendingLimits())
        self.deliver(subscription, b"1", b"2")
        self.assertEqual(self.got, [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_a_receiver_that_raises_anything(self) -> None:
        """What is not an Exception is logged as well, and the messages behind it are not lost."""

        def raising(msg: Msg) -> Deferred[None]:
            self.got.append(msg.data)
            if msg.data == b"1":
                return busy
            raise GeneratorExit

        busy: Deferred[None] = Deferred()
        subscription = Subscription(self.owner, 1, "a", None, raising, PendingLimits())
        self.deliver(subscription, b"1", b"2", b"3")
        busy.callback(None)
        self.deliver(subscription, b"4", b"5")
        self.assertEqual(self.got, [b"1", b"2", b"3", b"4", b"5"])
        self.assertEqual(len(self.flushLoggedErrors(GeneratorExit)), 4)

    def test_many_deferreds_that_have_fired(self) -> None:
        """They do not deepen the stack."""
        busy: Deferred[None] = Deferred()
        self.answers = [busy, *(succeed(None) for _ in range(20_000))]
        subscription = self.subscription()
        self.deliver(subscription, *[b"x"] * 20_000)
        busy.callback(None)
        self.assertEqual((len(self.got), subscription.pending), (20_000, 0))

    def slow(self, msg: Msg) -> None:
        """A receiver that takes 1 ms."""
        self.got.append(msg.data)
        self.owner.clock.rightNow += 0.001

    def test_a_long_backlog(self) -> None:
        """It is handed over in turns of a few milliseconds, and what arrives meanwhile waits behind it."""
        subscription = Subscription(self.owner, 1, "a", None, self.slow, PendingLimits(messages=20))
        subscription.hold()
        payloads = [b"%d" % number for number in range(30)]
        self.deliver(subscription, *payloads[:21])
        self.assertEqual(self.owner.asked, ["pause"])
        subscription.release()
        self.assertLessEqual(len(self.got), 7)
        self.deliver(subscription, *payloads[21:24])
        self.assertLessEqual(len(self.got), 7, "a message overtook the backlog")
        turns = 1
        while self.owner.clock.getDelayedCalls():
            before = len(self.got)
            run_one_call(self.owner.clock)
            self.assertLessEqual(len(self.got) - before, 7)
            turns += 1
        self.assertGreater(turns, 3)
        self.deliver(subscription, *payloads[24:])
        self.assertEqual((self.got, subscription.pending), (payloads, 0))
        self.assertIn("resume", self.owner.asked)

    def test_a_turn(self) -> None:
        """It ends as soon as its time is over. The time begins behind the first message."""
        for duration, handed_over in ((MAX_TURN / 2, 3), (MAX_TURN, 2), (10 * MAX_TURN, 2), (0, 9)):
            self.owner, self.got = RecordingOwner(), []

            def receive(msg: Msg, duration: float = duration) -> None:
                self.got.append(msg.data)
                self.owner.clock.rightNow += duration

            subscription = Subscription(self.owner, 1, "a", None, receive, PendingLimits())
            subscription.hold()
            self.deliver(subscription, *[b"x"] * 9)
            subscription.release()
            self.assertEqual(len(self.got), handed_over, duration)

    def test_held_between_two_turns(self) -> None:
        """Nothing is handed over then, and a release continues once."""
        subscription = Subscription(self.owner, 1, "a", None, self.slow, PendingLimits())
        subscription.hold()
        payloads = [b"%d" % number for number in range(20)]
        self.deliver(subscription, *payloads)
        subscription.release()
        got = len(self.got)
        subscription.hold()
        subscription.release()
        self.assertEqual(len(self.got), got, "a release in the same turn holds the reactor longer")
        subscription.hold()
        self.owner.clock.advance(0)
        self.assertEqual((len(self.got), self.owner.clock.getDelayedCalls()), (got, []))
        subscription.release()
        self.owner.clock.pump([0.0] * 10)
        self.assertEqual(self.got, payloads)

    def test_reading_pauses_above_the_messages_and_resumes_at_half(self) -> None:
        subscription = self.subscription(PendingLimits(messages=4))
        first: Deferred[None] = Deferred()
        rest: list[Deferred[None]] = [Deferred() for _ in range(5)]
        self.answers = [first, *rest]
        self.deliver(subscription, *[b"x"] * 5)
        self.assertEqual(self.owner.asked, [])
        self.deliver(subscription, b"x")
        self.assertEqual(self.owner.asked, ["pause"])
        first.callback(None)
        rest[0].callback(None)
        self.assertEqual((self.owner.asked, subscription.pending), (["pause"], 3))
        rest[1].callback(None)
        self.assertEqual((self.owner.asked[:2], subscription.pending), (["pause", "resume"], 2))

    def test_reading_resumes_when_pending_messages_are_taken_out(self) -> None:
        """The answer to a PING, which a flush waits for, could not be read otherwise."""
        subscription = self.subscription(PendingLimits(messages=2))
        subscription.hold()
        self.deliver(subscription, b"1", b"2", b"3")
        self.assertEqual(self.owner.asked, ["pause"])
        subscription.take_pending()
        self.assertEqual(self.owner.asked, ["pause", "resume"])
        self.deliver(subscription, b"4", b"5", b"6")
        self.assertEqual(self.owner.asked, ["pause", "resume", "pause"])

    def test_reading_pauses_above_the_bytes(self) -> None:
        subscription = self.subscription(PendingLimits(bytes=10))
        busy: Deferred[None] = Deferred()
        self.answers = [busy]
        self.deliver(subscription, b"-", b"x" * 10)
        self.assertEqual(self.owner.asked, [])
        self.deliver(subscription, b"x")
        self.assertEqual(self.owner.asked, ["pause"])
        busy.callback(None)
        self.assertEqual(self.owner.asked[1], "resume")

    def test_reading_resumes_at_half_of_the_bytes(self) -> None:
        """Of payloads and headers, rounded down: neither above it nor below."""
        for limit, pending_then in ((61, 3), (60, 3), (59, 2), (58, 2)):
            subscription = self.subscription(PendingLimits(bytes=limit))
            busy: list[Deferred[None]] = [Deferred() for _ in range(8)]
            self.owner.asked, self.answers = [], list(busy)
            for _ in range(8):
                subscription.deliver(Msg(Address("a", 1), b"x" * 4, b"h" * 6))
            self.assertEqual((self.owner.asked[0], subscription.pending), ("pause", 7))
            while "resume" not in self.owner.asked:
                busy.pop(0).callback(None)
            self.assertEqual(subscription.pending, pending_then, limit)

    def overflowing(self, policy: PendingPolicy, limits: dict[str, int], *payloads: bytes) -> Subscription:
        """A subscription that is held while messages arrive."""
        self.overflows: list[PendingLimitError] = []
        subscription = Subscription(
            self.owner, 1, "a", "q", self.receive, PendingLimits(policy=policy, **limits), self.overflows.append
        )
        subscription.hold()
        self.deliver(subscription, *payloads)
        return subscription

    def test_drop_newest(self) -> None:
        subscription = self.overflowing("drop_newest", {"messages": 2}, b"1", b"2", b"3", b"4")
        self.assertEqual((subscription.received, subscription.dropped, subscription.pending), (4, 2, 2))
        subscription.release()
        self.assertEqual((self.got, self.owner.asked), ([b"1", b"2"], ["resume"]))

    def test_drop_oldest(self) -> None:
        subscription = self.overflowing("drop_oldest", {"messages": 2}, b"1", b"2", b"3", b"4")
        self.assertEqual((subscription.received, subscription.dropped, subscription.pending), (4, 2, 2))
        subscription.release()
        self.assertEqual(self.got, [b"3", b"4"])

    def test_drop_by_bytes(self) -> None:
        """As many messages are dropped as needed. One that alone is too large is dropped too."""
        subscription = self.overflowing("drop_oldest", {"bytes": 10}, b"1" * 5, b"2" * 5, b"3" * 6)
        self.assertEqual((subscription.dropped, subscription.pending), (2, 1))
        self.deliver(subscription, b"4" * 11)
        self.assertEqual((subscription.dropped, subscription.pending), (4, 0))

    def test_on_overflow(self) -> None:
        """It is called above the limits, and not again before half of them is reached."""
        for policy in PENDING_POLICIES:
            subscription = self.overflowing(policy, {"messages": 4}, *[b"x"] * 8)
            self.assertEqual([(error.messages, error.bytes) for error in self.overflows], [(5, 5)])
            self.assertEqual(
                str(self.overflows[0]),
                f"the routes of a:q are too slow: 5 messages with 5 bytes are waiting ({policy})",
            )
            busy: Deferred[None] = Deferred()
            self.answers = [busy]
            subscription.release()
            self.deliver(subscription, *[b"x"] * 8)
            self.assertEqual(len(self.overflows), 1, "half of the limit is not reached yet")
            self.answers = [None] * 100
            busy.callback(None)
            subscription.hold()
            self.deliver(subscription, *[b"x"] * 8)
            self.assertEqual(len(self.overflows), 2)

    def test_the_default_limits(self) -> None:
        """For those who subscribe without limits."""
        self.assertEqual(attrs.astuple(PendingLimits()), (65_536, 32 * 1024 * 1024, "pause"))

    def test_pending_subjects(self) -> None:
        """In the order in which the messages arrived, while they wait."""
        subscription = self.subscription()
        self.assertEqual(subscription.pending_subjects, [])
        subscription.hold()
        for subject in ("b", "a", "b"):
            subscription.deliver(Msg(Address(subject, 1), b""))
        self.assertEqual(subscription.pending_subjects, ["b", "a", "b"])
        subscription.release()
        self.assertEqual(subscription.pending_subjects, [])

    def test_released_by_its_own_receiver(self) -> None:
        """The next message follows when the receiver has returned, not inside of it."""
        inside: list[int] = []

        def releasing(msg: Msg) -> None:
            inside.append(1)
            subscription.hold()
            subscription.release()
            self.got.append(b"%d in %d" % (len(self.got), len(inside)))
            inside.pop()

        subscription = Subscription(self.owner, 1, "a", None, releasing, PendingLimits())
        subscription.hold()
        self.deliver(subscription, b"1", b"2", b"3")
        subscription.release()
        self.assertEqual(self.got, [b"0 in 1", b"1 in 1", b"2 in 1"])

    def test_the_short_way(self) -> None:
        """A message for an idle receiver is handed over at once, before and after others had to wait."""
        looked: list[Msg] = []
        took = Subscription._took

        def look(subscription: Subscription, msg: Msg) -> bool:
            looked.append(msg)
            return took(subscription, msg)

        self.patch(Subscription, "_took", look)
        subscription = self.subscription()
        self.deliver(subscription, b"1")
        self.answers = [succeed(None)]
        self.deliver(subscription, b"2", b"3")
        subscription.hold()
        self.deliver(subscription, b"4")
        subscription.release()
        self.deliver(subscription, b"5")
        self.assertEqual(([msg.data for msg in looked], self.got), ([b"4"], [b"1", b"2", b"3", b"4", b"5"]))

    def test_one_message_at_a_time(self) -> None:
        """The clock is not asked: while each message takes a while, there is no turn that could be too long."""
        looks: list[object] = []
        self.patch(self.owner.clock, "seconds", lambda: looks.append(1) or 0.0)
        subscription = self.subscription()
        busy: list[Deferred[None]] = [Deferred(), Deferred(), Deferred()]
        self.answers = list(busy)
        self.deliver(subscription, b"1", b"2", b"3")
        for one in busy:
            one.callback(None)
        subscription.hold()
        self.deliver(subscription, b"4")
        subscription.release()
        self.assertEqual((self.got, looks), ([b"1", b"2", b"3", b"4"], []))

    def test_unsubscribe(self) -> None:
        """The owner does it."""
        subscription = self.subscription()
        subscription.unsubscribe(5)
        subscription.unsubscribe()
        self.assertEqual(self.owner.asked, ["unsubscribe 5", "unsubscribe None"])

    def test_the_last_message(self) -> None:
        """The owner forgets the subscription when it has come, not before, whether it waits or not."""
        for how in ("at once", "after a hold", "waits"):
            self.owner.asked = []
            subscription = self.subscription()
            subscription.end_at(3)
            self.assertEqual(subscription.left, 3)
            if how != "at once":
                subscription.hold()
            if how == "after a hold":
                subscription.release()
            self.deliver(subscription, b"1", b"2")
            self.assertEqual((self.owner.asked, subscription.left), ([], 1))
            if how == "waits":
                subscription.release()
            self.deliver(subscription, b"3")
            self.assertEqual((self.owner.asked, subscription.left), (["forget"], 0))

    def test_the_context(self) -> None:
        """Pending messages come in a copy of the one that the subscription was made in, whatever ended the wait."""
        variable: ContextVar[str] = ContextVar("variable", default="unset")
        seen: list[str] = []
        busy: list[Deferred[None]] = [Deferred(), Deferred()]

        def receive(msg: Msg) -> Deferred[None] | None:
            seen.append(variable.get())
            variable.set("in a receiver")
            return busy[int(msg.data)]

        def resume(subscription: Subscription) -> None:
            seen.append(f"resumed: {variable.get()}")

        self.owner.resume = resume

        def subscribe() -> Subscription:
            variable.set("where it was made")
            return Subscription(self.owner, 1, "a", None, receive, PendingLimits(messages=0))

        subscription = copy_context().run(subscribe)
        copy_context().run(self.deliver, subscription, b"0", b"1")

        def fire(number: int) -> None:
            variable.set("elsewhere")
            busy[number].callback(None)

        copy_context().run(fire, 0)
        self.assertEqual(seen, ["unset", "where it was made", "resumed: in a receiver"])
        subscription.deliver(Msg(Address("a", 1), b"1"))
        copy_context().run(fire, 1)
        self.assertEqual(seen[3:], ["where it was made", "resumed: in a receiver"])

    def test_a_limit_of_no_messages(self) -> None:
        """Each time that the receiver is busy counts as an overflow of its own."""
        subscription = self.overflowing("drop_newest", {"messages": 0}, b"1", b"2")
        self.assertEqual((subscription.pending, len(self.overflows)), (0, 1))
        subscription.release()
        self.assertEqual(self.owner.asked, ["resume"])
        subscription.hold()
        self.deliver(subscription, b"3")
        self.assertEqual((subscription.dropped, len(self.overflows)), (3, 2))

    def test_on_overflow_raises(self) -> None:
        """That is logged, and the message is kept."""

        def raising(error: PendingLimitError) -> None:
            raise LookupError

        limits = PendingLimits(messages=0)
        subscription = Subscription(self.owner, 1, "a", None, self.receive, limits, raising)
        subscription.hold()
        self.deliver(subscription, b"1")
        self.assertEqual((len(self.flushLoggedErrors(LookupError)), subscription.pending), (1, 1))

    def test_what_is_not_a_deferred(self) -> None:
        """A receiver may return anything; the next message follows at once."""
        answers: list[Any] = [1, "x", False]
        self.answers = answers
        self.deliver(self.subscription(), b"1", b"2", b"3", b"4")
        self.assertEqual(self.got, [b"1", b"2", b"3", b"4"])

    def test_holds_are_counted(self) -> None:
        subscription = self.subscription()
        for _ in range(3):
            subscription.hold()
        subscription.release()
        self.deliver(subscription, b"1")
        subscription.release()
        self.assertEqual(self.got, [])
        subscription.release()
        self.assertEqual(self.got, [b"1"])

    def test_held_by_its_own_receiver(self) -> None:
        """A hold in the middle of a batch takes effect at once."""
        subscription = self.subscription()

        def holding(msg: Msg) -> None:
            self.got.append(msg.data)
            subscription.hold()

        subscription = Subscription(self.owner, 1, "a", None, holding, PendingLimits())
        self.deliver(subscription, b"1", b"2", b"3")
        self.assertEqual(self.got, [b"1"])
        subscription.release()
        self.assertEqual(self.got, [b"1", b"2"])
