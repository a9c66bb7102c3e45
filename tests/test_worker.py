"""natsroute.publishing.worker: policies and ages; tests.test_publisher has the rest."""

from __future__ import annotations

import gc

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from natsroute.errors import (
    ConnectionLostError,
    PublishBufferFullError,
    PublishDroppedError,
    PublishExpiredError,
    SettingError,
)
from natsroute.ledger import PublisherAccount
from natsroute.publishing.options import PublishLimits
from tests.support.cases import LogRecorder
from tests.support.memory_publisher import PublisherTestCase


class FailTests(PublisherTestCase):
    """The policy fail: at once without a connection, and never sent twice."""

    def test_without_a_connection(self) -> None:
        kept = self.publisher.publish("a", b"1")
        self.disconnect()
        self.failureResultOf(self.publisher.publish("a", b"2", policy="fail"), ConnectionLostError)
        self.connect()
        self.assertEqual(self.flush(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(kept)
        self.assertEqual(self.counts(), (2, 1, 0, 1))

    def test_on_the_way_when_the_connection_is_lost(self) -> None:
        """Written, waiting and being made: what may not be sent twice fails, the rest of its batch is sent again."""
        written = [self.publisher.publish("a", b"1"), self.publisher.publish("a", b"2", policy="fail")]
        self.flush()
        waiting = self.publisher.publish("a", b"3", policy="fail")
        self.disconnect()
        for lost in (written[1], waiting):
            self.failureResultOf(lost, ConnectionLostError)
        self.assertNoResult(written[0])
        self.connect()
        self.assertEqual(self.flush(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(written[0])
        self.assertEqual(self.counts(), (3, 1, 1, 2))

    def test_in_the_pool_when_the_connection_is_lost(self) -> None:
        made = [self.publisher.publish("a", lambda: b"1", policy="fail"), self.publisher.publish("a", {})]
        self.flush()
        self.disconnect()
        self.pool.do()
        self.failureResultOf(made[0], ConnectionLostError)
        self.connect()
        self.assertEqual(self.flush(), b"PUB a 2\r\n{}\r\n")

    def test_in_the_pool_while_the_connection_is_lost_and_found(self) -> None:
        """It was never written, so it is not too late for it."""
        made = self.publisher.publish("a", lambda: b"1", policy="fail")
        self.flush()
        self.disconnect()
        self.connect()
        self.pool.do()
        self.assertEqual(self.flush(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(made)

    def test_of_the_publisher(self) -> None:
        """The default policy can be another, and a call can ask for keep."""
        self.limits = PublishLimits(policy="fail", resend_window=0.0)
        self.setUp()
        self.disconnect()
        self.failureResultOf(self.publisher.publish("a", b"1"), ConnectionLostError)
        self.assertNoResult(self.publisher.publish("a", b"2", policy="keep"))

    def test_no_such_policy(self) -> None:
        error = self.failureResultOf(self.publisher.publish("a", b"1", policy="hope"), SettingError)
        self.assertIn("One of keep, fail, drop", error.getErrorMessage())


class FailAndResendWindowTests(PublisherTestCase):
    """What was confirmed a moment ago."""

    limits = PublishLimits(resend_window=0.25)

    def test_is_not_sent_again(self) -> None:
        self.publisher.publish("a", b"1", policy="fail")
        self.publisher.publish("a", b"2")
        self.flush()
        self.pong()
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n2\r\n")
        self.assertEqual(self.counts(), (2, 2, 1, 0))


class DropTests(PublisherTestCase):
    """The policy drop: gives way when the worker is half full."""

    limits = PublishLimits(messages=8, bytes=10_000, resend_window=0.0)

    def test_gives_way(self) -> None:
        """The newest is dropped and counted; the other half is for those who are kept, and only they press."""
        log = LogRecorder(self)
        dropped = [self.publisher.publish("a", b"%d" % number, policy="drop") for number in range(10)]
        self.assertEqual(self.marks, [])
        kept = [self.publisher.publish("b", b"") for _ in range(5)]
        self.failureResultOf(kept[4], PublishBufferFullError)
        self.assertEqual(self.marks, ["high"])
        for wait in dropped[4:]:
            self.failureResultOf(wait, PublishDroppedError)
        self.assertEqual(self.flush().count(b"PUB"), 8)
        self.pong()
        for wait in (*dropped[:4], *kept[:4]):
            self.successResultOf(wait)
        self.assertEqual(
            self.publisher.account(),
            PublisherAccount(published=15, confirmed=8, failed=1, dropped=6, resent=0, in_progress=0),
        )
        self.assertEqual(log.lines("error"), [])

    def test_nobody_looks(self) -> None:
        """One line, however many are dropped."""
        log = LogRecorder(self)
        for _ in range(1000):
            self.publisher.publish("a", b"", policy="drop")
        gc.collect()
        self.assertEqual(log.lines("error"), ["Not published: its worker is half full, and its policy is 'drop'"])


class AgeTests(PublisherTestCase):
    """What is not confirmed in time fails, and is not sent later."""

    limits = PublishLimits(resend_window=0.0, max_age=60.0)

    def test_during_an_outage(self) -> None:
        """Each at its own time; those that are younger are sent when there is a connection again."""
        log = LogRecorder(self)
        written = self.publisher.publish("a", b"1")
        self.flush()
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
        self.assertEqual(self.flush(), b"PUB d 1\r\n4\r\n")
        self.pong()
        self.successResultOf(late)
        self.assertEqual(self.counts(), (4, 1, 0, 3))
        self.assertEqual(
            log.lines("error"),
            [
                f"{what}: the server has not confirmed it within publish_max_age, 60 s"
                for what in ("1 messages were not confirmed, to a", "2 messages were not confirmed, to b, c")
            ],
        )

    def test_a_server_that_does_not_answer(self) -> None:
        """Its PONG comes too late; the next one is for the next batch."""
        first = self.publisher.publish("a", b"1")
        self.flush()
        self.clock.advance(30)
        second = self.publisher.publish("a", b"2")
        self.flush()
        self.clock.advance(30)
        self.failureResultOf(first, PublishExpiredError)
        self.pong()
        self.assertNoResult(second)
        self.pong()
        self.successResultOf(second)
        self.assertEqual(self.counts(), (2, 1, 0, 1))

    def test_expired_and_then_lost(self) -> None:
        """It is not sent again."""
        expired = self.publisher.publish("a", b"1")
        self.flush()
        self.clock.advance(60)
        self.failureResultOf(expired, PublishExpiredError)
        self.disconnect()
        self.connect()
        self.assertEqual((self.link.sent(), self.counts()), (b"", (1, 0, 0, 1)))

    def test_a_payload_that_is_never_made(self) -> None:
        """Those behind it go on."""
        stuck = self.publisher.publish("a", lambda: b"1")
        self.flush()
        self.clock.advance(50)
        behind = self.publisher.publish("a", b"2")
        self.assertEqual(self.flush(), b"")
        self.clock.advance(10)
        self.failureResultOf(stuck, PublishExpiredError)
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n2\r\n")
        self.pong()
        self.successResultOf(behind)
        self.pool.do()
        self.assertEqual((self.flush(), self.counts()), (b"", (2, 1, 0, 1)))

    def test_messages_of_different_ages_are_not_written_together(self) -> None:
        """All of a batch expire together."""
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

    def test_a_reactor_that_was_busy(self) -> None:
        """For longer than the age: what waits is too old already, and no time is negative."""
        waits = [self.publisher.publish("a", b"1")]
        self.flush()
        waits.append(self.publisher.publish("a", b"2"))
        self.clock.rightNow += 120
        self.worker._expire()
        assert self.worker._next_expiry is not None
        self.assertGreaterEqual(self.worker._next_expiry.getTime(), self.clock.seconds())
        self.flush()
        for wait in waits:
            self.failureResultOf(wait, PublishExpiredError)

    def test_nothing_left_to_look_at(self) -> None:
        """No timer stays behind."""
        self.publisher.publish("a", b"")
        self.flush()
        self.pong()
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.publisher.publish("a", b"")
        self.flush()
        self.pong()
        self.successResultOf(self.publisher.stop(5.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class NoAgeTests(PublisherTestCase):
    """publish_max_age = 0"""

    limits = PublishLimits(resend_window=0.0, max_age=0.0)

    def test_is_never_over(self) -> None:
        self.disconnect()
        kept = self.publisher.publish("a", b"")
        self.clock.advance(1e6)
        self.assertNoResult(kept)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 0\r\n\r\n")


class LookingAroundTests(PublisherTestCase):
    """The account adds up also when a callback looks at it, in the middle of whatever happens."""

    limits = PublishLimits(messages=8, bytes=10_000, resend_window=0.25, max_age=60.0)

    def publish(self, subject: str, payload: object, policy: str = "keep") -> None:
        def look(result: object) -> Deferred[None] | None:
            self.counts()
            self.looked += 1
            return fail(result) if isinstance(result, Failure) else None

        self.publisher.publish(subject, payload, policy=policy).addBoth(look).addErrback(lambda failure: None)
        self.counts()

    def test_whatever_happens(self) -> None:
        self.looked = 0
        for round_ in range(3):
            for number in range(7):
                self.publish(f"s{number}", [b"x", {}, lambda: 1 // 0][number % 3], ["keep", "fail", "drop"][number % 2])
            self.flush()
            if round_ == 1:
                self.pool.do()
                self.disconnect()
                self.counts()
                self.clock.advance(61)
                self.connect()
            while self.pool.work:
                self.pool.do()
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
    """All that was published so far."""

    def test_nothing_on_the_way(self) -> None:
        self.successResultOf(self.publisher.flush())

    def test_what_came_before(self) -> None:
        """It is written at once; what comes behind is not waited for."""
        self.publisher.publish("a", b"1")
        flushed = self.publisher.flush()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n1\r\n")
        self.clock.advance(1)
        self.publisher.publish("a", b"2")
        self.flush()
        self.assertNoResult(flushed)
        self.pong()
        self.successResultOf(flushed)
        self.pong()
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])

    def test_a_later_message_that_fails_sooner(self) -> None:
        """The earlier ones are waited for all the same."""
        self.publisher.publish("a", b"1")
        self.flush()
        self.publisher.publish("a", lambda: 1 // 0).addErrback(lambda failure: failure.trap(ZeroDivisionError))
        flushed = self.publisher.flush()
        self.pool.do()
        self.assertNoResult(flushed)
        self.pong()
        self.successResultOf(flushed)

    def test_through_an_outage(self) -> None:
        self.publisher.publish("a", b"1")
        self.flush()
        self.disconnect()
        self.publisher.publish("a", b"2")
        flushed = self.publisher.flush()
        self.connect()
        self.pong()
        self.assertNoResult(flushed)
        self.pong()
        self.successResultOf(flushed)

    def test_failures_are_ends_too(self) -> None:
        """Given up for their age, or at the end."""
        for end in (lambda: self.clock.advance(3600), self.worker.abandon):
            self.publisher.publish("a", b"1")
            flushed = self.publisher.flush()
            end()
            self.successResultOf(flushed)


class SeveralWorkersFlushTests(PublisherTestCase):
    """A flush is for all workers."""

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
    """Nats-Msg-Id, by which a stream knows what was sent again."""

    def test_of_a_call(self) -> None:
        self.publisher.publish("a", b"1", headers={"A": "b"}, msg_id="call-1")
        self.assertEqual(self.flush(), b"HPUB a 39 40\r\nNATS/1.0\r\nA: b\r\nNats-Msg-Id: call-1\r\n\r\n1\r\n")

    def test_stays_the_same_when_it_is_sent_again(self) -> None:
        self.publisher.publish("a", b"1", msg_id="call-1")
        first = self.flush()
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), first)
