"""natsroute.publishing.worker: policies, ages and flushes; tests.test_publisher has the rest."""

from __future__ import annotations

import gc

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from natsroute.errors import (
    ConnectionLostError,
    PayloadTooLargeError,
    PayloadViolationError,
    PublishBufferFullError,
    PublishDroppedError,
    PublisherStoppedError,
    PublishExpiredError,
    ServerProtocolError,
    SettingError,
)
from natsroute.ledger import PublisherAccount
from natsroute.publishing.options import PublishLimits
from natsroute.wire.frames import Info
from tests.support.log_recorder import LogRecorder
from tests.support.memory_publisher import PublisherTestCase


class FailTests(PublisherTestCase):
    """The policy ``fail``: a message fails at once without a connection, and is never sent twice."""

    def test_without_a_connection(self) -> None:
        kept = self.publisher.publish("a", b"1")
        self.disconnect()
        self.failureResultOf(self.publisher.publish("a", b"2", policy="fail"), ConnectionLostError)
        self.connect()
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(kept)
        self.assertEqual(self.counts(), (2, 1, 0, 1))

    def test_connection_lost_after_writing(self) -> None:
        """Messages with the policy fail, written or not; the others of the batch are sent again."""
        written = [self.publisher.publish("a", b"1"), self.publisher.publish("a", b"2", policy="fail")]
        self.turn()
        waiting = self.publisher.publish("a", b"3", policy="fail")
        self.disconnect()
        for lost in (written[1], waiting):
            self.failureResultOf(lost, ConnectionLostError)
        self.assertNoResult(written[0])
        self.connect()
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(written[0])
        self.assertEqual(self.counts(), (3, 1, 1, 2))

    def test_connection_lost_while_serialising(self) -> None:
        waits = [self.publisher.publish("a", lambda: b"1", policy="fail"), self.publisher.publish("a", {})]
        self.turn()
        self.disconnect()
        self.pool.run_next()
        self.failureResultOf(waits[0], ConnectionLostError)
        self.connect()
        self.assertEqual(self.turn(), b"PUB a 2\r\n{}\r\n")

    def test_reconnected_while_serialising(self) -> None:
        """The message was never written, so it is sent."""
        wait = self.publisher.publish("a", lambda: b"1", policy="fail")
        self.turn()
        self.disconnect()
        self.connect()
        self.pool.run_next()
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(wait)

    def test_default_policy(self) -> None:
        """The publisher has a default policy, and a call can have another one."""
        self.limits = PublishLimits(policy="fail", resend_window=0.0)
        self.setUp()
        self.disconnect()
        self.failureResultOf(self.publisher.publish("a", b"1"), ConnectionLostError)
        self.assertNoResult(self.publisher.publish("a", b"2", policy="keep"))

    def test_unknown_policy(self) -> None:
        error = self.failureResultOf(self.publisher.publish("a", b"1", policy="hope"), SettingError)
        self.assertIn("Use one of keep, fail, drop", error.getErrorMessage())


class EarlyTests(PublisherTestCase):
    """There is a connection, and another observer of it publishes before the worker is told."""

    def publish_early(self) -> list[Deferred[None]]:
        self.disconnect()
        self.link.info = Info(max_payload=1024, headers=True)
        waits = [self.publisher.publish("a", data) for data in (b"x", b"y")]
        waits.append(self.publisher.flush())
        self.assertEqual(self.turn(), b"")
        self.connect()
        return waits

    def confirm(self, waits: list[Deferred[None]]) -> None:
        while self.link.pings:
            self.pong()
        for wait in waits:
            self.successResultOf(wait)

    def test_sent_once(self) -> None:
        """Whether traffic was sparse before or not."""
        for messages in (1, 2):
            for number in range(messages):
                self.publisher.publish("a", b"%d" % number)
            self.turn()
            self.pong()
            waits = self.publish_early()
            self.assertEqual(self.turn(), b"PUB a 1\r\nx\r\nPUB a 1\r\ny\r\n")
            self.confirm(waits)
        self.assertEqual(self.counts(), (7, 7, 0, 0))

    def test_order(self) -> None:
        """What is sent again goes first."""
        lost = self.publisher.publish("a", b"lost")
        self.turn()
        waits = self.publish_early()
        self.assertEqual(self.turn(), b"PUB a 4\r\nlost\r\nPUB a 1\r\nx\r\nPUB a 1\r\ny\r\n")
        self.confirm([lost, *waits])
        self.assertEqual(self.counts(), (3, 3, 1, 0))


class FailAndResendWindowTests(PublisherTestCase):
    """The policy ``fail`` for a message that was just confirmed."""

    limits = PublishLimits(resend_window=0.25)

    def test_is_not_sent_again(self) -> None:
        self.publisher.publish("a", b"1", policy="fail")
        self.publisher.publish("a", b"2")
        self.turn()
        self.pong()
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n2\r\n")
        self.assertEqual(self.counts(), (2, 2, 1, 0))


class StoppedAndResendWindowTests(PublisherTestCase):
    """Confirmed messages are not held, so a stop does not release their bytes a second time."""

    limits = PublishLimits(bytes=1000, resend_window=0.25)

    def test_the_bound_stays(self) -> None:
        for _ in range(4):
            self.publisher.publish("a", b"x" * 200)
            self.turn()
            self.pong()
            self.disconnect()
            lost = self.publisher.publish("a", b"")
            stopped = self.publisher.stop(5.0)
            self.failureResultOf(lost, PublisherStoppedError)
            self.successResultOf(stopped)
            self.publisher.start()
            self.connect()
        self.assertNoResult(self.publisher.publish("a", b"x" * 900))
        self.failureResultOf(self.publisher.publish("a", b"x" * 100), PublishBufferFullError)


class AbandonedTests(PublisherTestCase):
    """A Deferred that nobody has is not kept until the server has its message."""

    def test_dropped_with_the_turn(self) -> None:
        kept = self.publisher.publish("a", b"")
        self.publisher.publish("a", b"")
        self.turn()
        [batch] = self.worker._written
        self.assertEqual([confirmation is kept for confirmation in batch.confirmations], [True, False])
        self.assertIsNone(batch.confirmations[1])


class LimitsTests(PublisherTestCase):
    """What a server announces while it is connected, and what it closes the connection for."""

    def announce(self, max_payload: int, *, headers: bool = True) -> None:
        self.link.info = Info(max_payload=max_payload, headers=headers)
        self.worker.limits_changed()

    def test_a_lower_max_payload(self) -> None:
        """Messages that are not written fail at once, and later ones when they are published."""
        written, gathered = self.publisher.publish("a", b"x" * 101), self.publisher.publish("a", b"x" * 101)
        self.turn()
        waiting = self.publisher.publish("a", b"x" * 101)
        self.announce(100)
        self.failureResultOf(waiting, PayloadTooLargeError)
        self.failureResultOf(self.publisher.publish("a", b"x" * 101), PayloadTooLargeError)
        self.assertNoResult(written)
        self.pong()
        self.successResultOf(written)
        self.successResultOf(gathered)
        self.announce(200)
        self.publisher.publish("a", b"x" * 101)
        self.assertEqual(len(self.turn()), 101 + len(b"PUB a 101\r\n\r\n"))

    def test_queued(self) -> None:
        """Also behind a function in the pool."""
        self.publisher.publish("a", lambda: b"x")
        self.turn()
        queued = self.publisher.publish("a", b"x" * 101)
        self.turn()
        self.announce(100)
        self.failureResultOf(queued, PayloadTooLargeError)
        self.pool.run_next()
        self.assertEqual(self.turn(), b"PUB a 1\r\nx\r\n")

    def test_announced_when_the_message_was_written(self) -> None:
        """The server closes the connection; then only the message that is too large fails, and nothing twice."""
        large, small = self.publisher.publish("a", b"x" * 101), self.publisher.publish("a", b"x")
        self.turn()
        self.announce(100)
        self.assertNoResult(large)
        self.disconnect(PayloadViolationError("Maximum Payload Violation"))
        self.failureResultOf(large, PayloadTooLargeError)
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")
        self.pong()
        self.successResultOf(small)
        self.assertEqual(self.counts(), (2, 1, 1, 1))

    def test_lost_for_another_reason(self) -> None:
        """The next server may take the message."""
        large = self.publisher.publish("a", b"x" * 101)
        self.turn()
        self.announce(100)
        self.disconnect()
        self.assertNoResult(large)
        self.connect()
        self.pong()
        self.successResultOf(large)

    def test_nothing_left_to_write(self) -> None:
        """No PING is written for it."""
        self.disconnect()
        large = self.publisher.publish("a", b"x" * 101)
        self.turn()
        self.connect(max_payload=100)
        self.failureResultOf(large, PayloadTooLargeError)
        self.assertEqual((self.link.written, self.link.pings), ([], []))

    def test_without_a_connection(self) -> None:
        """The limits of the last server stay."""
        self.announce(100)
        self.disconnect()
        self.worker.limits_changed()
        self.failureResultOf(self.publisher.publish("a", b"x" * 101), PayloadTooLargeError)

    def test_a_message_that_the_server_does_not_take(self) -> None:
        """It fails with what the server said; the others are confirmed, and new ones wait meanwhile."""
        error = ServerProtocolError("maximum control line exceeded")
        waits = [self.publisher.publish(subject, b"") for subject in ("a", "bad", "c")]
        self.clock.advance(0)
        later = self.publisher.publish("d", b"")
        self.clock.advance(0)
        connections = 1
        while self.link.pings:
            if b"bad" in self.link.written[0]:
                self.link.written.clear()
                self.disconnect(error)
                self.connect()
                connections += 1
            else:
                self.link.written.pop(0)
                self.pong()
        self.assertEqual(connections, 6)
        self.assertIs(self.failureResultOf(waits[1], ServerProtocolError).value, error)
        for wait in (waits[0], waits[2], later):
            self.successResultOf(wait)
        self.assertEqual(self.worker._written.holds_back, False)

    def test_a_server_that_is_killed(self) -> None:
        """It has another ID each time, so nothing fails, and nothing waits for the confirmation of something else."""
        waits = [self.publisher.publish(subject, b"") for subject in ("a", "b")]
        for number in range(20):
            self.turn()
            self.disconnect()
            self.connect(server_id=f"S{number}")
            self.assertEqual(self.link.sent(), b"PUB a 0\r\n\r\nPUB b 0\r\n\r\n")
        waits.append(self.publisher.publish("c", b""))
        self.assertEqual(self.turn(), b"PUB c 0\r\n\r\n")
        self.pong()
        self.pong()
        for wait in waits:
            self.successResultOf(wait)

    def test_new_messages_wait_behind_a_suspect(self) -> None:
        waits = [self.publisher.publish("a", b"")]
        self.turn()
        for _ in range(3):
            self.disconnect()
            self.connect()
        self.link.sent()
        waits.append(self.publisher.publish("b", b""))
        self.assertEqual(self.turn(), b"")
        self.pong()
        self.assertEqual(self.link.sent(), b"PUB b 0\r\n\r\n")
        self.pong()
        for wait in waits:
            self.successResultOf(wait)


class DropTests(PublisherTestCase):
    """The policy ``drop``: a message is dropped when the buffer is more than half full."""

    limits = PublishLimits(messages=8, bytes=10_000, resend_window=0.0)

    def test_dropped_above_the_high_water_mark(self) -> None:
        """The newest is dropped and counted. The other half of the buffer is for other policies, and signals."""
        log = LogRecorder(self)
        dropped = [self.publisher.publish("a", b"%d" % number, policy="drop") for number in range(10)]
        self.assertEqual(self.marks, [])
        kept = [self.publisher.publish("b", b"") for _ in range(5)]
        self.failureResultOf(kept[4], PublishBufferFullError)
        self.assertEqual(self.marks, ["high"])
        for wait in dropped[4:]:
            self.failureResultOf(wait, PublishDroppedError)
        self.assertEqual(self.turn().count(b"PUB"), 8)
        self.pong()
        for wait in (*dropped[:4], *kept[:4]):
            self.successResultOf(wait)
        self.assertEqual(
            self.publisher.account(),
            PublisherAccount(published=15, confirmed=8, failed=1, dropped=6, resent=0, in_progress=0),
        )
        self.assertEqual(log.lines("error"), [])

    def test_not_handled(self) -> None:
        """One log line, however many are dropped."""
        log = LogRecorder(self)
        for _ in range(1000):
            self.publisher.publish("a", b"", policy="drop")
        gc.collect()
        self.assertEqual(
            log.lines("error"),
            [
                "Not published: message to a: the buffer of the publish worker is more than half full, and the policy "
                "is 'drop'"
            ],
        )


class AgeTests(PublisherTestCase):
    """A message that is not confirmed in time fails, and is not sent later."""

    limits = PublishLimits(resend_window=0.0, max_age=60.0)

    def test_during_an_outage(self) -> None:
        """Each fails at its own time; younger ones are sent over the next connection."""
        log = LogRecorder(self)
        written = self.publisher.publish("a", b"1")
        self.turn()
        self.disconnect()
        self.clock.advance(20)
        waits = [self.publisher.publish("b", b"2"), self.publisher.publish("c", lambda: b"3")]
        self.clock.advance(39)
        self.assertNoResult(written)
        self.clock.advance(1)
        self.failureResultOf(written, PublishExpiredError)
        self.assertNoResult(waits[0])
        self.clock.advance(19)
        late = self.publisher.publish("d", b"4")
        self.clock.advance(1)
        for wait in waits:
            self.failureResultOf(wait, PublishExpiredError)
        self.connect()
        self.assertEqual(self.turn(), b"PUB d 1\r\n4\r\n")
        self.pong()
        self.successResultOf(late)
        self.assertEqual(self.counts(), (4, 1, 0, 3))
        self.assertEqual(
            log.lines("error"),
            [
                f"Not confirmed: {what}: the server did not confirm the message within publish_max_age (60 s)"
                for what in ("1 message(s) to a", "2 message(s) to b, c")
            ],
        )

    def test_a_server_that_does_not_answer(self) -> None:
        """The PONG of an expired batch confirms nothing; the next one is for the next batch."""
        first = self.publisher.publish("a", b"1")
        self.turn()
        self.clock.advance(30)
        second = self.publisher.publish("a", b"2")
        self.turn()
        self.clock.advance(30)
        self.failureResultOf(first, PublishExpiredError)
        self.pong()
        self.assertNoResult(second)
        self.pong()
        self.successResultOf(second)
        self.assertEqual(self.counts(), (2, 1, 0, 1))

    def test_connection_lost_after_expiry(self) -> None:
        """An expired message is not sent again."""
        expired = self.publisher.publish("a", b"1")
        self.turn()
        self.clock.advance(60)
        self.failureResultOf(expired, PublishExpiredError)
        self.disconnect()
        self.connect()
        self.assertEqual((self.link.sent(), self.counts()), (b"", (1, 0, 0, 1)))

    def test_a_callable_that_is_younger(self) -> None:
        """It does not expire with what is older."""
        old = self.publisher.publish("a", b"1")
        self.turn()
        self.clock.advance(30)
        young = self.publisher.publish("a", lambda: b"2")
        self.turn()
        self.clock.advance(30)
        self.failureResultOf(old, PublishExpiredError)
        self.assertNoResult(young)
        self.pool.run_next()
        self.assertEqual(self.link.written[-1], b"PUB a 1\r\n2\r\n")

    def test_timers(self) -> None:
        """One for the turn, and one for the age, however many messages there are."""
        for _ in range(3):
            self.publisher.publish("a", b"")
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [0.0, 60.0])

    def test_a_callable_that_never_returns(self) -> None:
        """It expires, and later messages are sent."""
        stuck = self.publisher.publish("a", lambda: b"1")
        self.turn()
        self.clock.advance(50)
        behind = self.publisher.publish("a", b"2")
        self.assertEqual(self.turn(), b"")
        self.clock.advance(10)
        self.failureResultOf(stuck, PublishExpiredError)
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n2\r\n")
        self.pong()
        self.successResultOf(behind)
        self.pool.run_next()
        self.assertEqual((self.turn(), self.counts()), (b"", (2, 1, 0, 1)))

    def test_messages_of_different_ages_are_not_written_together(self) -> None:
        """The messages of a batch expire together."""
        self.disconnect()
        waits = []
        for _ in range(5):
            waits.append(self.publisher.publish("a", b""))
            self.clock.advance(10)
        self.connect()
        self.assertEqual([batch.count(b"PUB") for batch in self.link.written], [1] * 5)
        self.clock.advance(10)
        self.failureResultOf(waits[0], PublishExpiredError)
        for _ in range(5):
            self.pong()
        for wait in waits[1:]:
            self.successResultOf(wait)

    def test_messages_of_nearly_the_same_age(self) -> None:
        """They are written together if their ages differ by at most a twentieth of the maximum."""
        self.disconnect()
        for wait in (3.0, 0.1, 3.0, 0.0):
            self.publisher.publish("a", b"")
            self.turn()
            self.clock.advance(wait)
        self.connect()
        self.assertEqual([batch.count(b"PUB") for batch in self.link.written], [2, 2])

    def test_a_busy_reactor(self) -> None:
        """After a block that is longer than the age, gathered messages are too old, and no delay is negative."""
        waits = [self.publisher.publish("a", b"1")]
        self.turn()
        waits.append(self.publisher.publish("a", b"2"))
        self.clock.rightNow += 120
        self.worker._expire()
        assert self.worker._next_expiry is not None
        self.assertGreaterEqual(self.worker._next_expiry.getTime(), self.clock.seconds())
        self.turn()
        for wait in waits:
            self.failureResultOf(wait, PublishExpiredError)

    def test_no_timer_is_left(self) -> None:
        """When all messages are confirmed, and at the stop."""
        self.publisher.publish("a", b"")
        self.turn()
        self.pong()
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.publisher.publish("a", b"")
        self.turn()
        self.pong()
        self.successResultOf(self.publisher.stop(5.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class NoAgeTests(PublisherTestCase):
    """publish_max_age = 0"""

    limits = PublishLimits(resend_window=0.0, max_age=0.0)

    def test_no_message_expires(self) -> None:
        self.disconnect()
        kept = self.publisher.publish("a", b"")
        self.clock.advance(1e6)
        self.assertNoResult(kept)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 0\r\n\r\n")


class AccountTests(PublisherTestCase):
    """The account adds up whenever a callback looks at it."""

    limits = PublishLimits(messages=8, bytes=10_000, resend_window=0.25, max_age=60.0)

    def publish(self, subject: str, payload: object, policy: str = "keep") -> None:
        def look(result: object) -> Deferred[None] | None:
            self.counts()
            self.looked += 1
            return fail(result) if isinstance(result, Failure) else None

        self.publisher.publish(subject, payload, policy=policy).addBoth(look).addErrback(lambda failure: None)
        self.counts()

    def test_in_callbacks(self) -> None:
        self.looked = 0
        for round_ in range(3):
            for number in range(7):
                self.publish(f"s{number}", [b"x", {}, lambda: 1 // 0][number % 3], ["keep", "fail", "drop"][number % 2])
            self.turn()
            if round_ == 1:
                self.pool.run_next()
                self.disconnect()
                self.counts()
                self.clock.advance(61)
                self.connect()
            while self.pool.work:
                self.pool.run_next()
            while self.link.pings:
                self.pong()
        self.publish("big", b"x" * 2000)
        for _ in range(12):
            self.publish("many", b"x", "drop")
        self.publisher.stop(0.0)
        self.clock.advance(0.0)
        self.assertEqual(self.looked, 3 * 7 + 13)
        self.assertEqual(self.publisher.account().in_progress, 0)


class FlushTests(PublisherTestCase):
    """A flush waits for all messages published so far."""

    def test_without_messages(self) -> None:
        self.successResultOf(self.publisher.flush())

    def test_earlier_and_later_messages(self) -> None:
        """Earlier messages are written at once; later ones are not waited for."""
        self.publisher.publish("a", b"1")
        flushed = self.publisher.flush()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n1\r\n")
        self.clock.advance(1)
        self.publisher.publish("a", b"2")
        self.turn()
        self.assertNoResult(flushed)
        self.pong()
        self.successResultOf(flushed)
        self.pong()
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])

    def test_several_flushes(self) -> None:
        """Each waits for what was published before it."""
        flushes = []
        for _ in range(3):
            self.publisher.publish("a", b"")
            flushes.append(self.publisher.flush())
            self.assertLessEqual(len(self.clock.getDelayedCalls()), 1, "only that of the age")
            self.clock.advance(1)
        for number in range(3):
            self.pong()
            self.assertEqual([bool(flushed.called) for flushed in flushes], [at <= number for at in range(3)])

    def test_a_later_message_that_fails_sooner(self) -> None:
        """The earlier one is still waited for."""
        self.publisher.publish("a", b"1")
        self.turn()
        self.publisher.publish("a", lambda: 1 // 0).addErrback(lambda failure: failure.trap(ZeroDivisionError))
        flushed = self.publisher.flush()
        self.pool.run_next()
        self.assertNoResult(flushed)
        self.pong()
        self.successResultOf(flushed)

    def test_through_an_outage(self) -> None:
        self.publisher.publish("a", b"1")
        self.turn()
        self.disconnect()
        self.publisher.publish("a", b"2")
        flushed = self.publisher.flush()
        self.connect()
        self.pong()
        self.assertNoResult(flushed)
        self.pong()
        self.successResultOf(flushed)

    def test_failed_messages(self) -> None:
        """A flush ends when the last message expires or is abandoned."""
        for end in (lambda: self.clock.advance(3600), self.worker.abandon):
            self.publisher.publish("a", b"1")
            flushed = self.publisher.flush()
            end()
            self.successResultOf(flushed)


class SeveralWorkersFlushTests(PublisherTestCase):
    """A flush waits for all workers."""

    workers = 3

    def test_all(self) -> None:
        for number in range(20):
            self.publisher.publish(f"s{number}", b"")
        flushed = self.publisher.flush()
        for link in self.links:
            self.assertNoResult(flushed)
            for ping in link.pings:
                ping.callback(None)
        self.successResultOf(flushed)


class MessageIdTests(PublisherTestCase):
    """``Nats-Msg-Id``, by which a stream detects a message that was sent twice."""

    def test_in_a_call(self) -> None:
        self.publisher.publish("a", b"1", headers={"A": "b"}, msg_id="call-1")
        self.assertEqual(self.turn(), b"HPUB a 39 40\r\nNATS/1.0\r\nA: b\r\nNats-Msg-Id: call-1\r\n\r\n1\r\n")

    def test_sent_again_with_the_same_id(self) -> None:
        self.publisher.publish("a", b"1", msg_id="call-1")
        first = self.turn()
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), first)
