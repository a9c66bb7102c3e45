"""natsroute.publishing.publisher, with a backlog: Deferreds fire in order, and in turns of a few milliseconds"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute.errors import (
    ConnectionLostError,
    PayloadTooLargeError,
    PermissionsError,
    PublisherStoppedError,
    PublishExpiredError,
)
from natsroute.publishing import batches, written_batches
from natsroute.publishing.batches import MAX_BATCH, ServerLimits
from natsroute.publishing.options import PublishLimits
from natsroute.turns import MAX_TURN
from natsroute.wire.frames import Info
from tests.support.log_recorder import LogRecorder
from tests.support.memory_publisher import PublisherTestCase
from tests.support.waiting import run_one_call

COUNT = 100
#: A turn, the longest callbacks that it makes before it looks at the clock, and what rounding adds.
LONGEST = MAX_TURN + 16 * 0.001 + 0.0001


class BacklogTestCase(PublisherTestCase):
    """
    Messages whose callbacks take time, and look at the ledger.

    :cvar cost: the seconds that each callback takes.
    """

    cost = 0.001
    limits = PublishLimits(resend_window=0.0, max_age=60.0)

    def setUp(self) -> None:
        super().setUp()
        self.seen: list[int] = []
        self.results: list[object] = []

    def publish_slow(
        self, count: int = COUNT, *, policy: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """Publish messages, which continue the numbers of those before."""
        first = self.publisher.account().published
        for number in range(first, first + count):
            confirmation = self.publisher.publish("a", b"%d" % number * 2, headers=headers, policy=policy)
            confirmation.addBoth(self.ended, number)

    def ended(self, result: object, number: int) -> None:
        self.counts()
        self.clock.rightNow += self.cost
        self.seen.append(number)
        self.results.append(result.type if isinstance(result, Failure) else result)

    def after(self, waiting: Deferred[None], what: int) -> None:
        """Record when a Deferred fires."""
        waiting.addCallback(lambda _: self.seen.append(what))

    def run_turns(self, until: int, longest: float = LONGEST) -> int:
        """Run the reactor until that many have fired; gives the number of turns."""
        turns = 0
        while len(self.seen) < until:
            before = self.clock.seconds()
            run_one_call(self.clock)
            self.assertLessEqual(self.clock.seconds() - before, longest)
            self.counts()
            turns += 1
        return turns


class ConfirmedTests(BacklogTestCase):
    """A PONG that confirms a large batch."""

    def confirm(self) -> None:
        before = self.clock.seconds()
        self.pong()
        self.assertLessEqual(self.clock.seconds() - before, LONGEST)

    def test_a_large_batch(self) -> None:
        """Its Deferreds fire in order, and a flush after all of them. The ledger adds up all the time."""
        self.publish_slow()
        flushed = self.publisher.flush()
        self.after(flushed, COUNT)
        self.confirm()
        self.assertLess(len(self.seen), COUNT)
        account = self.publisher.account()
        self.assertEqual((account.confirmed, account.in_progress), (len(self.seen), COUNT - len(self.seen)))
        self.assertGreater(self.run_turns(COUNT + 1), 2)
        self.assertEqual(self.seen, [*range(COUNT + 1)])
        self.assertEqual(self.counts(), (COUNT, COUNT, 0, 0))

    def test_a_small_batch_behind_it(self) -> None:
        """It is written and confirmed meanwhile, and its Deferred fires behind all others."""
        self.publish_slow()
        self.turn()
        self.publish_slow(1)
        self.turn()
        self.confirm()
        self.confirm()
        self.run_turns(COUNT + 1)
        self.assertEqual(self.seen, [*range(COUNT + 1)])

    def test_written_meanwhile(self) -> None:
        """What is published between two turns does not wait for the Deferreds."""
        self.publish_slow()
        self.turn()
        self.confirm()
        self.publisher.publish("b", b"")
        while not self.link.written:
            run_one_call(self.clock)
        self.assertLess(len(self.seen), COUNT)

    def test_a_refused_message(self) -> None:
        """Its Deferred fails in the order of the messages, too."""
        self.publish_slow(COUNT // 2)
        self.publisher.publish("refused", b"").addBoth(self.ended, COUNT // 2)
        self.publish_slow(COUNT // 2)
        self.turn()
        self.refuse('Permissions Violation for Publish to "refused"')
        self.confirm()
        self.run_turns(COUNT + 1)
        self.assertEqual(self.seen, [*range(COUNT + 1)])
        self.assertEqual([at for at, result in enumerate(self.results) if result is PermissionsError], [COUNT // 2])

    def test_a_refused_message_of_a_small_batch(self) -> None:
        """The ledger adds up in the callback of the message before it. A flush in that waits for those behind it."""
        first = self.publisher.publish("a", b"")
        first.addCallback(lambda _: self.after(self.publisher.flush(), 3))
        first.addBoth(self.ended, 0)
        for number, subject in enumerate(("refused", "a"), 1):
            self.publisher.publish(subject, b"").addBoth(self.ended, number)
        self.turn()
        self.refuse('Permissions Violation for Publish to "refused"')
        self.pong()
        self.assertEqual((self.seen, self.results), ([0, 1, 2, 3], [None, PermissionsError, None]))
        self.assertEqual(self.counts(), (3, 2, 0, 1))

    def test_stopped_meanwhile(self) -> None:
        """The stop waits for all Deferreds."""
        self.publish_slow()
        self.turn()
        self.confirm()
        self.after(self.publisher.stop(5.0), COUNT)
        self.run_turns(COUNT + 1)
        self.assertEqual(self.seen, [*range(COUNT + 1)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_without_a_connection(self) -> None:
        """What was confirmed stays confirmed, and what was not fails behind it."""
        self.publish_slow()
        self.turn()
        self.publish_slow(1)
        self.confirm()
        self.disconnect()
        self.after(self.publisher.stop(5.0), COUNT + 1)
        self.run_turns(COUNT + 2)
        self.assertEqual(self.seen, [*range(COUNT + 2)])
        self.assertEqual(self.results, [None] * COUNT + [PublisherStoppedError])

    def test_cancelled_meanwhile(self) -> None:
        """A Deferred that is cancelled before its turn counts as confirmed."""
        last = self.publisher.publish("a", b"")
        for _ in range(2):
            self.publish_slow()
        last = self.publisher.publish("a", b"")
        last.addErrback(lambda failure: None)
        self.turn()
        self.confirm()
        last.cancel()
        self.run_turns(2 * COUNT)
        self.clock.advance(0)
        self.assertEqual(self.counts(), (2 * COUNT + 2, 2 * COUNT + 2, 0, 0))


class SeveralPongsTests(BacklogTestCase):
    """PONGs that arrive together, each of which confirms a batch whose callbacks take most of a turn."""

    cost = 0.00004

    def test_they_share_a_turn(self) -> None:
        for _ in range(5):
            self.publish_slow()
            self.turn()
        before = self.clock.seconds()
        while self.link.pings:
            self.pong()
        self.assertLessEqual(self.clock.seconds() - before, MAX_TURN + 16 * self.cost + 0.0001)
        self.assertGreater(self.run_turns(5 * COUNT), 2)
        self.assertEqual(self.seen, [*range(5 * COUNT)])

    def test_after_a_while(self) -> None:
        """A later PONG has a turn of its own."""
        for number in range(1, 4):
            self.publish_slow()
            self.turn()
            self.pong()
            self.assertEqual(len(self.seen), number * COUNT)
            self.clock.rightNow += MAX_TURN


class FullTests(BacklogTestCase):
    """A buffer that callbacks keep full."""

    limits = PublishLimits(messages=COUNT, resend_window=0.0)

    def test_callbacks_that_are_slow(self) -> None:
        """A message is held until its Deferred fires, so producers pause until then."""
        self.publish_slow()
        self.turn()
        self.pong()
        self.assertEqual(self.marks, ["high"])
        self.run_turns(COUNT // 2)
        self.assertEqual(self.marks, ["high"])
        self.run_turns(COUNT)
        self.assertEqual(self.marks, ["high", "low"])

    def publish_more_than_fits(self) -> None:
        """Confirm a batch with a payload in excess of the buffer; the next callable waits for space."""
        self.limits = PublishLimits(bytes=5_000, resend_window=0.0)
        self.setUp()
        self.connect(max_payload=10_000)
        self.publish_slow()
        self.publisher.publish("a", lambda: b"x" * 10_000).addBoth(self.ended, COUNT)
        self.turn()
        self.publisher.publish("a", lambda: b"x").addBoth(self.ended, COUNT + 1)
        self.turn()
        self.pool.run_next()
        self.assertEqual(self.pool.work, [])
        self.pong()

    def test_a_callable(self) -> None:
        """It is called when there is space again, and its message is confirmed behind the others."""
        self.publish_more_than_fits()
        self.assertEqual(self.pool.work, [])
        while not self.pool.work:
            run_one_call(self.clock)
        self.assertLess(len(self.seen), COUNT)
        self.pool.run_next()
        self.pong()
        self.run_turns(COUNT + 2)
        self.assertEqual(self.seen, [*range(COUNT + 2)])

    def test_a_callable_behind_quick_callbacks(self) -> None:
        """It is called without another turn."""
        self.cost = 0.0
        self.publish_more_than_fits()
        self.assertEqual((len(self.seen), len(self.pool.work)), (COUNT + 1, 1))


class FailedTests(BacklogTestCase):
    """Many messages that fail together."""

    #: A turn, and one callback.
    longest = MAX_TURN + 0.001 + 0.0001

    def assert_failed(self, error: type[Exception], waiter: int | None = None) -> None:
        """All of them have failed, in order and in several turns; then the waiter, whose number follows, has fired."""
        total = COUNT if waiter is None else COUNT + 1
        self.assertLess(len(self.seen), 10)
        self.assertEqual(self.publisher.account().failed, COUNT)
        self.assertGreater(self.run_turns(total, self.longest), 10)
        self.assertEqual(self.seen, [*range(total)])
        self.assertEqual(self.results, [error] * COUNT)

    def test_expired(self) -> None:
        self.publish_slow(COUNT // 2)
        self.turn()
        self.publish_slow(COUNT // 2)
        flushed = self.publisher.flush()
        self.after(flushed, COUNT)
        self.clock.rightNow += 61
        run_one_call(self.clock)
        self.assert_failed(PublishExpiredError, COUNT)

    def test_connection_lost(self) -> None:
        self.publish_slow(policy="fail")
        self.turn()
        self.disconnect()
        self.assert_failed(ConnectionLostError)

    def check_limits(self, block: dict[str, str] | None = None, **limits: Any) -> None:
        """The server does not take the messages any more. A flush waits for them."""
        made: list[int] = []

        class Counted(batches.PayloadTooLargeError):
            def __init__(self, *numbers: int) -> None:
                super().__init__(*numbers)
                made.append(1)

        class CountedHeaderError(batches.HeaderError):
            def __init__(self, text: str) -> None:
                super().__init__(text)
                made.append(1)

        self.patch(batches, "PayloadTooLargeError", Counted)
        self.patch(batches, "HeaderError", CountedHeaderError)
        self.publish_slow(headers=block)
        self.after(self.publisher.flush(), COUNT)
        self.connect(**limits)
        self.assertLess(len(made), 10, "errors are made in turns, too: that takes longer than all else")
        self.assert_failed(CountedHeaderError if block else Counted, COUNT)
        self.assertEqual(self.link.sent(), b"")

    def test_a_lower_max_payload(self) -> None:
        """For messages that wait for a connection."""
        self.disconnect()
        self.check_limits(max_payload=1)

    def test_nobody_has_the_deferreds(self) -> None:
        """Then the log has the failure of the first message."""
        log = LogRecorder(self)
        self.disconnect()
        for size in (5, 6, 7):
            self.publisher.publish("a", b"x" * size, headers={"A": "b"})
        self.connect(max_payload=4)
        self.clock.advance(0)
        [line] = log.lines("error")
        self.assertIn("the message has 23 bytes", line)

    def test_nobody_has_the_deferreds_of_the_pool(self) -> None:
        """The same behind a message that the pool serialises."""
        log = LogRecorder(self)
        self.publisher.publish("a", lambda: b"xxxx", policy="fail")  # so its Deferreds are needed
        for size in (5, 6, 7):
            self.publisher.publish("a", b"x" * size)
        self.turn()
        self.worker.buffer.server_limits = ServerLimits(4, headers=True)
        self.pool.run_next()
        self.clock.advance(0)
        [line] = log.lines("error")
        self.assertIn("the message has 5 bytes", line)

    def test_no_headers(self) -> None:
        """The same if the server does not support them."""
        self.disconnect()
        self.check_limits({"A": "b"}, headers=False)

    def test_a_lower_max_payload_of_the_next_server(self) -> None:
        """For messages that would be sent again."""
        self.publish_slow()
        self.turn()
        self.disconnect()
        self.connect(max_payload=1)
        self.assert_failed(PayloadTooLargeError)

    def test_connection_lost_meanwhile(self) -> None:
        """The rest fails for its own reason, with or without a connection."""
        self.disconnect()
        self.publish_slow()
        self.connect(max_payload=1)
        self.disconnect()
        self.assert_failed(PayloadTooLargeError)

    def test_stopped_meanwhile(self) -> None:
        """The stop waits for the rest, which fails for its own reason."""
        self.disconnect()
        self.publish_slow()
        self.connect(max_payload=1)
        self.after(self.publisher.stop(5.0), COUNT)
        self.assert_failed(PayloadTooLargeError, COUNT)

    def test_abandoned(self) -> None:
        """The stop waits for all Deferreds, also after its timeout."""
        self.publish_slow()
        self.turn()
        self.after(self.publisher.stop(5.0), COUNT)
        self.clock.rightNow += 5
        while not self.seen:
            run_one_call(self.clock)
        self.assert_failed(PublisherStoppedError, COUNT)


class BatchesTests(PublisherTestCase):
    """What is published in one turn of the reactor is written in batches, which a loop gets through in a few ms."""

    COUNT = 2 * MAX_BATCH + 500

    def publish_all(self, size: int = 1) -> list[Deferred[None]]:
        return [self.publisher.publish("a", b"%d" % number * size) for number in range(self.COUNT)]

    def commands(self, first: int = 0) -> bytes:
        numbers = [b"%d" % number for number in range(first, self.COUNT)]
        return b"".join(b"PUB a %d\r\n%b\r\n" % (len(number), number) for number in numbers)

    def assert_confirmed(self, waits: list[Deferred[None]], resent: int = 0) -> None:
        while self.link.pings:
            self.pong()
        self.clock.advance(0)
        for wait in waits:
            self.successResultOf(wait)
        self.assertEqual(self.counts(), (self.COUNT, self.COUNT, resent, 0))

    def test_written(self) -> None:
        """In order; each batch has its own PING."""
        waits = self.publish_all()
        self.clock.advance(0)
        self.assertEqual([data.count(b"PUB") for data in self.link.written], [MAX_BATCH, MAX_BATCH, 500])
        self.assertEqual(self.link.sent(), self.commands())
        self.assert_confirmed(waits)

    def test_queued(self) -> None:
        self.disconnect()
        waits = self.publish_all()
        self.turn()
        later = self.publisher.publish("a", b"later")
        self.turn()
        self.connect()
        self.assertEqual([data.count(b"PUB") for data in self.link.written], [MAX_BATCH, MAX_BATCH, 501])
        while self.link.pings:
            self.pong()
        for wait in [*waits, later]:
            self.successResultOf(wait)

    def test_lost_when_some_are_confirmed(self) -> None:
        """Only the others are sent again."""
        waits = self.publish_all()
        self.turn()
        self.pong()
        self.disconnect()
        self.connect()
        self.assertEqual(self.turn(), self.commands(MAX_BATCH))
        self.assert_confirmed(waits, self.COUNT - MAX_BATCH)

    def test_stopped_when_some_are_confirmed(self) -> None:
        waits = self.publish_all()
        self.turn()
        self.pong()
        stopped = self.publisher.stop(5.0)
        self.clock.advance(5.0)
        self.clock.advance(0)
        self.successResultOf(stopped)
        for wait in waits[:MAX_BATCH]:
            self.successResultOf(wait)
        for wait in waits[MAX_BATCH:]:
            self.failureResultOf(wait, PublisherStoppedError)
        self.assertEqual(self.counts(), (self.COUNT, MAX_BATCH, 0, self.COUNT - MAX_BATCH))

    def test_a_refusal_that_fits_no_message(self) -> None:
        """The messages of its batch are sent again one by one, and not those of all batches."""
        waits = self.publish_all()
        self.turn()
        self.refuse('Permissions Violation for Publish to "mapped"')
        self.pong()
        while len(self.link.written) < MAX_BATCH:
            self.clock.advance(0)
        self.assertEqual(self.link.sent(), self.commands()[: -len(self.commands(MAX_BATCH))])
        self.assert_confirmed(waits, MAX_BATCH)

    def test_the_policy_fail(self) -> None:
        waits = [self.publisher.publish("a", b"", policy="fail") for _ in range(self.COUNT)]
        self.turn()
        self.disconnect()
        self.clock.advance(0)
        for wait in waits:
            self.failureResultOf(wait, ConnectionLostError)
        self.assertEqual(self.counts(), (self.COUNT, 0, 0, self.COUNT))

    def test_callables(self) -> None:
        """Some of the messages have one."""
        waits = [
            self.publisher.publish("a", (lambda n=number: b"%d" % n) if number % 100 == 0 else b"%d" % number)
            for number in range(self.COUNT)
        ]
        self.turn()
        while self.pool.work:
            self.pool.run_next()
        self.assertEqual(self.link.sent(), self.commands())
        self.assert_confirmed(waits)

    def look(self) -> list[bytes]:
        """Record which commands are looked at."""
        looked_at: list[bytes] = []
        for module, name in ((batches, "_size"), (written_batches, "read_pub")):
            look = getattr(module, name)
            self.patch(module, name, lambda command, look=look: looked_at.append(command) or look(command))
        return looked_at

    def test_a_lower_max_payload(self) -> None:
        """Only messages that may be too large are looked at, wherever they are: that takes less than a turn."""
        looked_at = self.look()
        waits = self.publish_all()
        self.turn()
        self.disconnect()
        waits += self.publish_all()
        large = self.publisher.publish("a", b"x" * 900)
        self.turn()
        self.connect(max_payload=800)
        self.failureResultOf(large, PayloadTooLargeError)
        self.assertEqual({*looked_at}, {b"PUB a 900\r\n%b\r\n" % (b"x" * 900)})
        self.assertEqual(self.turn(), 2 * self.commands())

    def test_a_refused_message(self) -> None:
        """Only messages that name its subject are looked at."""
        looked_at = self.look()
        self.publish_all()
        refused = self.publisher.publish("refused", b"")
        self.turn()
        self.pong()
        self.pong()
        self.refuse('Permissions Violation for Publish to "refused"')
        self.pong()
        self.failureResultOf(refused, PermissionsError)
        self.assertEqual({*looked_at}, {b"PUB refused 0\r\n\r\n"})


class ResendTests(BacklogTestCase):
    """Many batches that are written again."""

    def write_slowly(self) -> None:
        """Let each write take a millisecond."""
        write = self.link.write_and_ping

        def slow_write(data: bytes, messages: int) -> Deferred[None]:
            self.clock.rightNow += 0.001
            return write(data, messages)

        self.link.write_and_ping = slow_write  # type: ignore[method-assign]

    def test_turns(self) -> None:
        """They are written in order, and in turns; what is published meanwhile follows them."""
        for number in range(COUNT):
            self.publisher.publish("a", b"%d" % number)
            self.turn()
        self.disconnect()
        self.write_slowly()
        before = self.clock.seconds()
        self.connect()
        self.assertLessEqual(self.clock.seconds() - before, MAX_TURN + 0.0021)
        self.publisher.publish("a", b"%d" % COUNT)
        turns = 0
        while len(self.link.written) <= COUNT:
            if self.link.pings:
                self.pong()  # a confirmation does not write more
            before = self.clock.seconds()
            run_one_call(self.clock)
            self.assertLessEqual(self.clock.seconds() - before, MAX_TURN + 0.0021)
            turns += 1
        self.assertGreater(turns, 10)
        self.assertEqual(self.link.written, [b"PUB a %d\r\n%d\r\n" % (len(b"%d" % n), n) for n in range(COUNT + 1)])
        self.assertEqual(self.publisher.account().resent, COUNT)

    def stop_between_two_turns(self) -> Deferred[None]:
        """Stop while messages are sent again that the last server had confirmed just before it was killed."""
        self.limits = PublishLimits(resend_window=0.25)
        self.setUp()
        for number in range(COUNT):
            kept = self.publisher.publish("a", b"%d" % number)  # so its PING does not come later
            self.turn()
            self.pong()
        del kept
        self.disconnect()
        self.write_slowly()
        self.connect()
        self.assertLess(len(self.link.written), 10)
        return self.publisher.stop(5.0)

    def test_stopped_between_two_turns(self) -> None:
        """The stop waits until all of them are written. It does not wait for their confirmation."""
        stopped = self.stop_between_two_turns()
        self.assertNoResult(stopped)
        while len(self.link.written) < COUNT:
            run_one_call(self.clock)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_and_lost_between_two_turns(self) -> None:
        """Without a connection, the stop does not wait."""
        stopped = self.stop_between_two_turns()
        self.disconnect()
        self.successResultOf(stopped)

    def test_stopped_between_two_turns_with_a_timeout(self) -> None:
        stopped = self.stop_between_two_turns()
        self.publisher.workers[0].abandon()
        self.successResultOf(stopped)

    def test_lost_between_two_turns(self) -> None:
        """All of them are written again, in order."""
        for number in range(COUNT):
            self.publisher.publish("a", b"%d" % number)
            self.turn()
        self.disconnect()
        self.write_slowly()
        self.connect()
        self.assertLess(len(self.link.written), 10)
        self.disconnect()
        self.link.sent()
        self.link.info = Info(max_payload=1024, headers=True)
        run_one_call(self.clock)
        self.assertEqual(self.link.written, [], "the worker has not been told of the connection yet")
        self.connect(server_id="another")
        self.clock.advance(0)
        self.assertEqual(self.link.written, [b"PUB a %d\r\n%d\r\n" % (len(b"%d" % n), n) for n in range(COUNT)])
