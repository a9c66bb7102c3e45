"""natsroute.jetstream.publishing.stream_publisher"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from natsroute.errors import (
    ConnectionLostError,
    HeaderError,
    PayloadTooLargeError,
    PermissionsError,
    PublishBufferFullError,
    PublishDroppedError,
    PublisherStoppedError,
    PublishExpiredError,
    RequestTimeoutError,
    SubjectError,
)
from natsroute.jetstream.errors import (
    InvalidPubAckError,
    JetStreamBusyError,
    NoStreamError,
    StreamFullError,
    WrongLastSequenceError,
)
from natsroute.jetstream.publishing import stream_publisher, stream_timers
from natsroute.jetstream.publishing.pub_ack import PubAck
from natsroute.jetstream.publishing.stream_options import MAX_IN_FLIGHT, StreamPublishOptions
from natsroute.publishing.options import PublishLimits
from natsroute.wire.encoder import read_pub
from tests.support.garbage import left_in_cycles
from tests.support.log_recorder import LogRecorder
from tests.support.memory_network import info
from tests.support.stream_publisher_case import StreamPublisherTestCase
from tests.support.waiting import run_one_call


class AcknowledgementTests(StreamPublisherTestCase):
    """A Deferred fires when the stream has the message."""

    def setUp(self) -> None:
        super().setUp()
        self.connected(self.client)

    def test_acknowledged(self) -> None:
        """The messages of a turn go out in one write, each with a reply subject and an id of its own."""
        waits = [self.publish("calls.a", b"%d" % number) for number in range(3)]
        self.assertEqual(self.written(), [])
        written = self.turn()
        self.assertEqual([(one.subject, one.data) for one in written], [("calls.a", b"%d" % n) for n in range(3)])
        self.assertEqual(len({one.reply for one in written}), 3)
        self.assertEqual(len({one.headers["Nats-Msg-Id"] for one in written}), 3)
        self.assertNoResult(waits[0])
        self.acknowledge(written[1], written[0], written[2])
        self.assertEqual([self.successResultOf(wait).sequence for wait in waits], [2, 1, 3])
        self.assertEqual(self.counts(), (3, 3, 0, 0, 0))

    def test_without_callbacks(self) -> None:
        """A Deferred that gets its callback after the acknowledgement."""
        wait = self.publish("calls.a", b"1")
        self.acknowledge(*self.turn())
        self.assertEqual(self.successResultOf(wait), PubAck("CALLS", 1))

    def test_headers(self) -> None:
        """The own id of a message stays."""
        self.publish("calls.a", b"1", {"A": "b"})
        self.publish("calls.a", b"2", {"Nats-Msg-Id": "mine", "A": "b"})
        self.publish("calls.a", b"3", {"nats-msg-id": "another header"})
        first, second, third = self.turn()
        self.assertEqual((first.headers["A"], first.data), ("b", b"1"))
        self.assertTrue(first.headers["Nats-Msg-Id"])
        self.assertEqual(second.headers.get_all("Nats-Msg-Id"), ["mine"])
        self.assertEqual(third.headers["nats-msg-id"], "another header")
        self.assertTrue(third.headers["Nats-Msg-Id"])

    def test_percent_sign(self) -> None:
        """Subjects may have one."""
        self.publish("calls.100%d", b"%s")
        self.assertEqual([(one.subject, one.data) for one in self.turn()], [("calls.100%d", b"%s")])

    def test_duplicate(self) -> None:
        wait = self.publish("calls.a", b"1")
        self.answer(self.turn()[0], b'{"stream":"CALLS","seq":7,"duplicate": true}')
        self.assertEqual(self.successResultOf(wait), PubAck("CALLS", 7, duplicate=True))

    def test_unusual_acknowledgement(self) -> None:
        wait = self.publish("calls.a", b"1")
        self.answer(self.turn()[0], b'{"stream":"CALLS","domain":"hub","seq":7}')
        self.assertEqual(self.successResultOf(wait).domain, "hub")
        self.assertEqual(self.counts(), (1, 1, 0, 0, 0))

    def test_refused(self) -> None:
        """A typed error; the others go on."""
        waits = [self.publish("calls.a", b"%d" % number) for number in range(3)]
        first, second, third = self.turn()
        self.refuse(first, 400, 10071, "wrong last sequence: 2")
        self.refuse(second, 503, 10077, "maximum bytes exceeded")
        self.acknowledge(third)
        self.failureResultOf(waits[0], WrongLastSequenceError)
        self.failureResultOf(waits[1], StreamFullError)
        self.successResultOf(waits[2])
        self.assertEqual(self.counts(), (3, 1, 2, 0, 0))
        self.assertEqual(self.turn(), [])

    def test_no_acknowledgement(self) -> None:
        """Somebody else answers."""
        wait = self.publish("calls.a", b"1")
        self.answer(self.turn()[0], b"thanks")
        self.assertEqual(self.failureResultOf(wait, InvalidPubAckError).value.data, b"thanks")

    def test_late(self) -> None:
        """A second answer is dropped and counted."""
        self.publish("calls.a", b"1")
        (written,) = self.turn()
        self.acknowledge(written, written)
        self.assertEqual(self.publisher.late, 1)
        self.assertEqual(self.counts(), (1, 1, 0, 0, 0))

    def test_unhandled_failure(self) -> None:
        """It is logged, with the subject."""
        logged = LogRecorder(self)
        self.publish("calls.a", b"1")
        self.refuse(self.turn()[0], 503, 10077, "maximum bytes exceeded")
        (line,) = logged.matching("maximum bytes exceeded")
        self.assertIn("calls.a", line)

    def test_publish_in_a_callback(self) -> None:
        self.publish("calls.a", b"1").addCallback(lambda _: self.publish("calls.a", b"2"))
        self.acknowledge(*self.turn())
        self.assertEqual([one.data for one in self.written() + self.turn()], [b"2"])

    def test_sparse_traffic(self) -> None:
        """If the last write was a single message and is acknowledged, the next message is written at once."""
        self.publish("calls.a", b"1")
        self.acknowledge(*self.turn())
        self.publish("calls.a", b"2")
        self.assertEqual([one.data for one in self.written()], [b"2"])
        self.publish("calls.a", b"3")
        self.assertEqual(self.written(), [])
        self.assertEqual([one.data for one in self.turn()], [b"3"])

    def test_invalid_subject(self) -> None:
        self.assertRaises(SubjectError, self.publisher.subject, "two words")

    def test_too_large(self) -> None:
        """The id counts, too."""
        wait = self.publish("calls.a", b"x" * 1000)
        self.assertEqual(self.failureResultOf(wait, PayloadTooLargeError).value.max_payload, 1024)
        self.assertEqual(self.counts(), (1, 0, 1, 0, 0))

    def test_lower_limit(self) -> None:
        """A server that announces a lower limit, while messages wait."""
        held = self.publish("calls.a", b"x" * 500)
        self.network.link.receive(info(max_payload=200))
        self.failureResultOf(held, PayloadTooLargeError)
        self.assertEqual(self.turn(), [])
        self.assertEqual(self.counts(), (1, 0, 1, 0, 0))

    def test_without_headers(self) -> None:
        """A server without headers has no ids."""
        waits = [self.publish("calls.a", b"1")]
        self.network.link.receive(info(headers=False))
        waits.append(self.publish("calls.a", b"2"))
        for wait in waits:
            self.failureResultOf(wait, HeaderError)

    def test_permissions(self) -> None:
        """A subject that the server refuses: its messages fail, the others do not."""
        refused, other = self.publish("calls.a", b"1"), self.publish("calls.b", b"2")
        written = self.turn()
        later = self.publish("calls.a", b"3")
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"calls.a\"'\r\n")
        self.failureResultOf(refused, PermissionsError)
        self.assertNoResult(later)
        self.acknowledge(written[1])
        self.successResultOf(other)

    def test_permissions_of_a_reply(self) -> None:
        """The server refuses the reply subject of one message."""
        refused, other = self.publish("calls.a", b"1"), self.publish("calls.a", b"2")
        written = self.turn()
        text = f"-ERR 'Permissions Violation for Publish with Reply of \"{written[0].reply}\"'\r\n"
        self.network.link.receive(text.encode())
        self.failureResultOf(refused, PermissionsError)
        self.acknowledge(written[1])
        self.successResultOf(other)


class ConnectionTests(StreamPublisherTestCase):
    """Connections that come and go."""

    def test_refused_acknowledgements(self) -> None:
        """Without the subscription for them nothing is sent: the stream would have it again and again."""
        self.connected(self.client)
        wait = self.publish("calls.a", b"1")
        self.assertEqual(len(self.turn()), 1)
        error = f"-ERR 'Permissions Violation for Subscription to \"{self.publisher.tokens.base}*\"'\r\n"
        self.network.link.receive(error.encode())
        later = self.publish("calls.a", b"2")
        for _ in range(7):
            self.clock.advance(1)
            self.assertEqual(self.written(), [])
        self.clock.pump([5.0] * 3)
        self.network.link.answer_pings()  # it has been asked for again
        self.acknowledge(*self.turn())
        self.successResultOf(wait)
        self.successResultOf(later)

    def test_before_the_first(self) -> None:
        """Messages wait."""
        wait = self.publish("calls.a", b"1")
        self.clock.advance(1)
        self.client.startService()
        self.accept()
        self.acknowledge(*self.turn())
        self.successResultOf(wait)

    def test_sent_again(self) -> None:
        """What is not acknowledged is sent again, with the same ids and in order, before anything newer."""
        self.connected(self.client)
        for number in range(5):
            self.publish(f"calls.{number % 2}", b"%d" % number)
        before = self.turn()
        self.acknowledge(before[2])
        self.network.link.lose()
        self.publish("calls.0", b"new")
        self.clock.advance(2.0)
        self.accept()
        again = self.turn()
        self.assertEqual([one.data for one in again if one.subject == "calls.0"], [b"0", b"4", b"new"])
        self.assertEqual([one.data for one in again if one.subject == "calls.1"], [b"1", b"3"])
        ids = {one.data: one.headers["Nats-Msg-Id"] for one in before}
        self.assertEqual({one.headers["Nats-Msg-Id"] == ids[one.data] for one in again if one.data != b"new"}, {True})
        self.acknowledge(*again)
        self.assertEqual(self.counts(), (6, 6, 0, 0, 0))
        self.assertEqual(self.publisher.account().resent, 4)

    def test_answers_over_the_next_connection(self) -> None:
        """A subscription for the answers is made there, too. An answer may come before the message is sent again."""
        self.connected(self.client)
        wait = self.publish("calls.a", b"1")
        (written,) = self.turn()
        self.network.link.lose()
        self.clock.advance(2.0)
        self.assertIn(f"SUB {written.reply.rpartition('.')[0]}.* 1\r\n".encode(), self.accept())
        self.acknowledge(written)
        self.successResultOf(wait)
        self.assertEqual(self.turn(), [])
        self.assertEqual(self.counts(), (1, 1, 0, 0, 0))
        self.publish("calls.a", b"2")
        self.assertEqual([one.data for one in self.turn() + self.written()], [b"2"])

    def test_policy_fail(self) -> None:
        """It is never sent twice."""
        unconnected = self.publish("calls.a", b"1", policy="fail")
        self.failureResultOf(unconnected, ConnectionLostError)
        self.connected(self.client)
        lost, kept = self.publish("calls.a", b"2", policy="fail"), self.publish("calls.a", b"3")
        self.turn()
        again = self.reconnect()
        self.failureResultOf(lost, ConnectionLostError)
        self.assertEqual([one.data for one in again], [b"3"])
        self.assertNoResult(kept)

    def test_moves(self) -> None:
        """To another server while messages are in flight: newer ones wait, so that none overtakes an older one."""
        self.connected(self.client)
        self.publish("calls.a", b"1")
        (written,) = self.turn()
        self.publisher.connected()
        self.publish("calls.a", b"2")
        self.assertEqual(self.turn(), [])
        self.acknowledge(written)
        self.assertEqual([one.data for one in self.turn()], [b"2"])

    def test_stopped(self) -> None:
        """The connection is stopped and started again."""
        self.connected(self.client)
        wait = self.publish("calls.a", b"1")
        self.turn()
        self.client.stopService()
        self.network.link.lose()
        self.connected(self.client)
        self.acknowledge(*self.turn())
        self.successResultOf(wait)


class RetryTests(StreamPublisherTestCase):
    """What may pass is tried again."""

    def setUp(self) -> None:
        super().setUp()
        self.connected(self.client)

    def test_no_responders(self) -> None:
        """The leader is not elected yet. The delays grow, and the reason is logged once."""
        logged = LogRecorder(self)
        wait = self.publish("calls.a", b"1")
        written = self.turn()
        for delay in (0.25, 0.5, 1.0, 2.0, 5.0, 5.0):
            self.no_responders(*written)
            self.clock.advance(delay - 0.01)
            self.assertEqual(self.turn(), [])
            self.clock.advance(0.01)
            again = self.turn()
            self.assertEqual([one.headers["Nats-Msg-Id"] for one in again], [written[0].headers["Nats-Msg-Id"]])
            written = again
        self.acknowledge(*written)
        self.successResultOf(wait)
        self.assertEqual(len(logged.matching("is sent again")), 1)
        self.assertEqual(self.publisher.account().resent, 6)

    def test_busy(self) -> None:
        """The server's own words for it."""
        wait = self.publish("calls.a", b"1")
        self.refuse(self.turn()[0], 503, 10008, "JetStream system temporarily unavailable")
        self.clock.advance(0.25)
        self.refuse(self.turn()[0], 429, 10167, "too many requests")
        self.clock.advance(0.5)
        self.acknowledge(*self.turn())
        self.successResultOf(wait)

    def test_policy_fail(self) -> None:
        waits = [self.publish("calls.a", b"1", policy="fail"), self.publish("calls.b", b"2", policy="fail")]
        first, second = self.turn()
        self.no_responders(first)
        self.refuse(second, 503, 10008, "JetStream system temporarily unavailable")
        self.assertEqual(self.failureResultOf(waits[0], NoStreamError).value.subject, "calls.a")
        self.failureResultOf(waits[1], JetStreamBusyError)
        self.clock.advance(60)
        self.assertEqual(self.written(), [])

    def test_no_cycles(self) -> None:
        """The answer of a stream that refuses a message goes when nobody has it, and with it the message."""

        def refused() -> None:
            self.publish("calls.a", b"1").addErrback(lambda failure: None)
            [written] = self.turn()
            self.refuse(written, 400, 10071, "wrong last sequence")

        self.assertEqual(left_in_cycles(refused), [])
        waits = [self.publish("calls.a", b"2")]
        [written] = self.turn()
        self.refuse(written, 503, 10008, "JetStream system temporarily unavailable")
        problem = self.publisher.subject("calls.a").problem
        assert problem is not None
        self.assertIsNone(problem.__traceback__, "it is kept until the stream takes messages again")
        self.clock.advance(0.25)
        self.acknowledge(*self.turn())
        self.successResultOf(waits[0])

    def test_missing_acknowledgement(self) -> None:
        """It is sent again; a late acknowledgement of the first one counts, too."""
        wait = self.publish("calls.a", b"1")
        (first,) = self.turn()
        self.clock.advance(2.5)
        self.assertEqual(self.turn(), [])
        self.clock.advance(2.5)
        self.clock.advance(0.25)
        self.assertEqual([one.data for one in self.turn()], [b"1"])
        self.acknowledge(first)
        self.successResultOf(wait)
        self.assertEqual(self.counts(), (1, 1, 0, 0, 0))
        self.publish("calls.a", b"2")
        self.assertEqual([one.data for one in self.turn() + self.written()], [b"2"])

    def test_missing_acknowledgement_policy_fail(self) -> None:
        wait = self.publish("calls.a", b"1", policy="fail")
        self.turn()
        self.clock.advance(2.5)
        self.clock.advance(2.5)
        self.assertEqual(self.failureResultOf(wait, RequestTimeoutError).value.seconds, 5.0)
        self.assertEqual(self.counts(), (1, 0, 1, 0, 0))

    def test_acknowledged_while_it_waits(self) -> None:
        """An acknowledgement comes between two attempts."""
        wait, other = self.publish("calls.a", b"1"), self.publish("calls.a", b"2")
        first, second = self.turn()
        self.no_responders(first, second)
        self.acknowledge(first)
        self.successResultOf(wait)
        self.clock.advance(0.25)
        self.assertEqual([one.data for one in self.turn()], [b"2"])
        self.assertNoResult(other)

    def test_missing_stream(self) -> None:
        """No stream takes the subject in all the time that a message may take."""
        wait = self.publish("calls.a", b"1")
        waiting = self.publish("calls.a", b"2")
        for _ in range(700):
            self.no_responders(*self.turn())
            self.clock.advance(0.1)
        error = self.failureResultOf(wait, NoStreamError).value
        self.assertEqual(error.subject, "calls.a")
        self.failureResultOf(waiting, NoStreamError)
        self.assertEqual(self.counts(), (2, 0, 2, 0, 0))

    def test_expired(self) -> None:
        """Nothing answers at all; or there is no connection."""
        wait = self.publish("calls.a", b"1")
        self.turn()
        self.network.link.lose()
        self.clock.advance(30.0)
        newer = self.publish("calls.a", b"2")
        self.clock.pump([2.5] * 13)
        self.assertEqual(self.failureResultOf(wait, PublishExpiredError).value.max_age, 60.0)
        self.assertNoResult(newer)
        self.assertEqual(self.counts(), (2, 0, 1, 0, 1))


class BufferTests(StreamPublisherTestCase):
    """What is held is bounded."""

    limits = PublishLimits(messages=8, bytes=100_000)

    def test_full(self) -> None:
        """Producers pause when it is half full; then messages are refused."""
        waits = [self.publish("calls.a", b"%d" % number) for number in range(9)]
        self.failureResultOf(waits[8], PublishBufferFullError)
        self.assertEqual(self.marks, ["high"])
        self.connected(self.client)
        written = self.turn()
        self.assertEqual(len(written), 8)
        self.acknowledge(*written[:5])
        self.assertEqual(self.marks, ["high"])
        self.acknowledge(*written[5:])
        self.assertEqual(self.marks, ["high", "low"])
        self.assertEqual(self.counts(), (9, 8, 1, 0, 0))

    def test_drop(self) -> None:
        waits = [self.publish("calls.a", b"%d" % number, policy="drop") for number in range(5)]
        self.failureResultOf(waits[4], PublishDroppedError)
        self.assertEqual(self.counts(), (5, 0, 0, 1, 4))

    def test_bytes(self) -> None:
        self.limits = PublishLimits(messages=100, bytes=1000)
        self.buffer.limits = self.limits
        self.buffer.high_water_bytes = 500
        waits = [self.publish("calls.a", b"x" * 300) for _ in range(3)]
        self.failureResultOf(waits[2], PublishBufferFullError)

    def test_cancelled(self) -> None:
        """A message that is not written is withdrawn; one that is written is sent."""
        self.connected(self.client)
        written = self.publish("calls.a", b"1")
        (sent,) = self.turn()
        unwritten, other = self.publish("calls.a", b"2"), self.publish("calls.a", b"3")
        for wait in (written, unwritten):
            wait.cancel()
            self.failureResultOf(wait, CancelledError)
        self.assertEqual([one.data for one in self.turn()], [b"3"])
        self.acknowledge(sent)
        self.assertNoResult(other)
        self.assertEqual(self.counts(), (3, 1, 1, 0, 1))


class InFlightTests(StreamPublisherTestCase):
    """A server may have only so many messages in its hands."""

    limits = PublishLimits(messages=10_000, bytes=10_000_000)
    options = StreamPublishOptions(window=10_000)

    def test_in_flight(self) -> None:
        self.connected(self.client)
        count = MAX_IN_FLIGHT + 100
        for number in range(count):
            self.publish(f"calls.{number % 7}", b"%d" % number)
        first = self.turn()
        self.assertEqual(len(first), MAX_IN_FLIGHT)
        self.acknowledge(*first[:60])
        second = self.turn()
        self.assertEqual(len(second), 60)
        self.acknowledge(*first[60:], *second)
        third = self.turn()
        self.acknowledge(*third)
        self.assertEqual([one.data for one in first + second + third], [b"%d" % number for number in range(count)])
        self.assertEqual(self.counts(), (count, count, 0, 0, 0))


class PayloadTests(StreamPublisherTestCase):
    """Payloads that the thread pool makes."""

    def setUp(self) -> None:
        super().setUp()
        self.connected(self.client)

    def test_order(self) -> None:
        """Later messages to the subject wait for it; those to others do not."""
        for subject, payload in (
            ("calls.a", b"1"),
            ("calls.a", lambda: {"n": 2}),
            ("calls.a", b"3"),
            ("calls.b", b"4"),
        ):
            self.publish(subject, payload)
        self.assertEqual([one.data for one in self.turn()], [b"1", b"4"])
        self.pool.run_next()
        written = self.turn()
        self.assertEqual([one.data for one in written], [b'{"n":2}', b"3"])
        self.assertEqual(self.buffer.messages, 4)

    def test_raises(self) -> None:
        """The message fails, and the next one follows."""
        wait = self.publish("calls.a", lambda: 1 / 0)
        self.publish("calls.a", b"2")
        self.pool.run_next()
        self.failureResultOf(wait, ZeroDivisionError)
        self.assertEqual([one.data for one in self.turn()], [b"2"])
        self.assertEqual(self.counts(), (2, 0, 1, 0, 1))

    def test_too_large(self) -> None:
        wait = self.publish("calls.a", lambda: b"x" * 2000)
        self.pool.run_next()
        self.failureResultOf(wait, PayloadTooLargeError)
        self.assertEqual(self.counts(), (1, 0, 1, 0, 0))

    def test_cancelled(self) -> None:
        """While the pool makes it."""
        self.publish("calls.a", lambda: b"1").addErrback(lambda _: None).cancel()
        self.publish("calls.a", b"2")
        self.assertEqual([one.data for one in self.turn()], [b"2"])
        self.pool.run_next()
        self.assertEqual(self.turn(), [])
        self.assertEqual(self.counts(), (2, 0, 1, 0, 1))

    def test_connection_lost(self) -> None:
        """While the pool makes it."""
        self.publish("calls.a", lambda: b"1")
        self.publish("calls.a", b"2")
        self.assertEqual(self.reconnect(), [])
        self.pool.run_next()
        self.assertEqual([one.data for one in self.turn()], [b"1", b"2"])


class WatchTests(StreamPublisherTestCase):
    """The timer that finds missing acknowledgements."""

    def test_a_message_of_the_turn_in_which_it_ended(self) -> None:
        """It goes on if a write is planned."""
        self.connected(self.client)
        self.publish("calls.a", b"0")
        self.publish("calls.a", b"1")
        self.acknowledge(*self.turn())
        self.clock.callLater(2.49, lambda: self.publish("calls.a", b"x" * 2000).addErrback(lambda _: None))
        self.clock.callLater(2.5, lambda: self.publish("calls.a", b"2"))
        self.clock.advance(2.5)
        self.assertEqual([one.data for one in self.written()], [b"2"])
        self.clock.pump([1] * 12)
        self.assertEqual([one.data for one in self.written()], [b"2"])


class PayloadSpaceTests(StreamPublisherTestCase):
    """Payloads are made when there is space for them."""

    limits = PublishLimits(messages=100, bytes=5000)

    def make_all(self) -> int:
        """Let the pool work. Returns how many payloads it made."""
        count = 0
        while self.pool.work:
            self.pool.run_next()
            count += 1
        return count

    def test_outage(self) -> None:
        """Without a connection, they are made until the buffer is full; the others when it is sent again."""
        self.connected(self.client)
        self.network.link.lose()
        self.clock.advance(3)
        waits = [self.publish(f"calls.{number}", lambda: b"x" * 900) for number in range(20)]
        self.assertLess(self.make_all(), 8)
        self.accept()
        sent = 0
        while sent < 20:
            written = self.turn()
            self.assertTrue(written or self.pool.work)
            sent += len(written)
            self.acknowledge(*written)
            if self.pool.work:
                self.pool.run_next()
        for wait in waits:
            self.successResultOf(wait)
        self.assertEqual(self.counts(), (20, 20, 0, 0, 0))

    def test_missing_stream(self) -> None:
        """While no stream takes the messages, no more payloads are made than fit."""
        self.connected(self.client)
        waits = [self.publish("calls.a", lambda: b"x" * 900) for _ in range(20)]
        for _ in range(20):
            self.no_responders(*self.turn())
            if self.pool.work:
                self.pool.run_next()
        self.assertLess(self.buffer.bytes, 7000)
        sent = 0
        for _ in range(60):
            self.clock.advance(1)
            written = self.written()
            sent += len(written)
            self.acknowledge(*written)
            if self.pool.work:
                self.pool.run_next()
        for wait in waits:
            self.successResultOf(wait)
        self.assertEqual(self.counts(), (20, 20, 0, 0, 0))


class EndTests(StreamPublisherTestCase):
    """Flush, drain, and the end."""

    def test_flush(self) -> None:
        """It waits for the messages so far."""
        self.connected(self.client)
        self.successResultOf(self.flushed())
        self.publish("calls.a", b"1")
        self.publish("calls.a", b"2")
        flushed = self.publisher.flush()
        self.publish("calls.a", b"3").addErrback(lambda _: None)
        first, second, third = self.turn()
        self.acknowledge(third, first)
        self.turn()
        self.assertNoResult(flushed)
        self.refuse(second, 503, 10077, "maximum bytes exceeded")
        self.turn()
        self.successResultOf(flushed)

    def test_flush_in_a_callback(self) -> None:
        """The message whose callback it is has ended already, and is not counted among those that it waits for."""
        self.connected(self.client)
        flushes: list[Any] = []
        self.publish("calls.a", b"1").addCallback(lambda _: flushes.append(self.publisher.flush()))
        self.publish("calls.a", b"2")
        first, second = self.turn()
        self.acknowledge(first)
        self.turn()
        self.assertNoResult(flushes[0])
        self.acknowledge(second)
        self.turn()
        self.successResultOf(flushes[0])

    def flushed(self) -> Any:
        """A flush of nothing."""
        flushed = self.publisher.flush()
        self.turn()
        return flushed

    def test_drain(self) -> None:
        self.connected(self.client)
        self.publish("calls.a", b"1")
        drained = self.publisher.drain()
        self.assertNoResult(drained)
        self.acknowledge(*self.turn())
        self.successResultOf(drained)
        self.client.stopService()
        self.network.link.lose()
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drain_without_connection(self) -> None:
        """Nobody is there to acknowledge."""
        wait = self.publish("calls.a", b"1")
        drained = self.publisher.drain()
        self.failureResultOf(wait, PublisherStoppedError)
        self.successResultOf(drained)
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drain_before_the_first_connection(self) -> None:
        """It is on its way, so it is waited for."""
        self.client.startService()
        wait = self.publish("calls.a", b"1")
        drained = self.publisher.drain()
        self.assertNoResult(wait)
        self.accept()
        self.acknowledge(*self.turn())
        self.successResultOf(wait)
        self.successResultOf(drained)

    def test_connection_lost_during_the_drain(self) -> None:
        self.connected(self.client)
        wait = self.publish("calls.a", b"1")
        self.turn()
        drained = self.publisher.drain()
        self.network.link.lose()
        self.failureResultOf(wait, PublisherStoppedError)
        self.successResultOf(drained)

    def test_abandon(self) -> None:
        """The time is over. A subject that waits for its next attempt starts afresh."""
        self.connected(self.client)
        waits = [self.publish("calls.a", b"1"), self.publish("calls.b", b"2"), self.publish("calls.a", lambda: b"3")]
        first, _ = self.turn()
        self.no_responders(first)
        drained = self.publisher.drain()
        self.publisher.abandon()
        for wait in waits:
            self.failureResultOf(wait, PublisherStoppedError)
        self.successResultOf(drained)
        self.assertEqual(self.counts(), (3, 0, 3, 0, 0))
        self.publish("calls.a", b"4")
        self.assertEqual([one.data for one in self.turn()], [b"4"])

    def test_many_failures(self) -> None:
        """They do not hold the reactor."""
        failed: list[Failure] = []

        def slowly(failure: Failure) -> None:
            self.clock.rightNow += 0.004
            failed.append(failure)

        for number in range(10):
            self.publish("calls.a", b"%d" % number).addErrback(slowly)
        self.publisher.abandon()
        in_one_turn = len(failed)
        self.assertLess(in_one_turn, 10)
        for number in range(5):
            self.publish("calls.a", b"late %d" % number)
            self.publisher.abandon()  # more messages fail, as if their answers came in the same turn
        self.assertEqual(len(failed), in_one_turn)
        self.clock.pump([0.0] * 10)
        self.assertEqual(len(failed), 10)
        self.assertEqual(self.counts(), (15, 0, 15, 0, 0))


class ManyDueTests(StreamPublisherTestCase):
    """Many messages that are too old, or whose acknowledgements are overdue: some are looked after in each turn."""

    COUNT = 10

    def setUp(self) -> None:
        super().setUp()
        self.patch(stream_timers, "MAX_DUE", 3)
        self.connected(self.client)
        self.seen: list[tuple[int, type[BaseException] | None]] = []
        for number in range(self.COUNT):
            wait = self.publish(f"calls.{number % 2}", b"%d" % number)
            wait.addBoth(lambda result, n=number: self.seen.append((n, getattr(result, "type", None))))

    def expire(self) -> None:
        """Begin to fail all messages: none is acknowledged."""
        self.turn()
        self.clock.rightNow += 61.0
        run_one_call(self.clock)
        self.assertEqual(self.seen, [(number, PublishExpiredError) for number in range(3)])
        self.assertEqual(self.counts(), (self.COUNT, 0, 3, 0, self.COUNT - 3))

    def test_expired(self) -> None:
        """In order."""
        self.expire()
        self.clock.pump([0.0] * 5)
        self.assertEqual(self.seen, [(number, PublishExpiredError) for number in range(self.COUNT)])
        self.assertEqual(self.counts(), (self.COUNT, 0, self.COUNT, 0, 0))

    def test_stopped_meanwhile(self) -> None:
        self.expire()
        drained = self.publisher.drain()
        self.publisher.abandon()
        self.successResultOf(drained)
        errors = [PublishExpiredError] * 3 + [PublisherStoppedError] * (self.COUNT - 3)
        self.assertEqual(self.seen, [*enumerate(errors)])

    def test_lost_meanwhile(self) -> None:
        """What is left expires without a connection."""
        self.expire()
        self.network.link.lose()
        self.clock.pump([0.0] * 5)
        self.assertEqual(self.seen, [(number, PublishExpiredError) for number in range(self.COUNT)])

    def test_overdue(self) -> None:
        """All of them are sent again once, those to each subject in their order."""
        self.turn()
        self.clock.rightNow += 6.0
        self.clock.pump([0.0] * 5)
        self.assertEqual(self.publisher.account().resent, self.COUNT)
        again: list[bytes] = []
        while written := self.turn() or (self.clock.advance(0.25) or self.written()):
            again += [one.data for one in written]
            self.acknowledge(*written)
        for subject in range(2):
            of_subject = [number for number in map(int, again) if number % 2 == subject]
            self.assertEqual(of_subject, [*range(subject, self.COUNT, 2)])
        self.assertEqual(self.counts(), (self.COUNT, self.COUNT, 0, 0, 0))


class LowerMaxPayloadTests(StreamPublisherTestCase):
    """A server with a lower ``max_payload``, when many messages wait."""

    def test_only_large_ones_are_looked_at(self) -> None:
        looked_at: list[bytes] = []
        self.patch(stream_publisher, "read_pub", lambda command: looked_at.append(command) or read_pub(command))
        for number in range(20):
            self.publish("calls.a", b"%d" % number)
        large = self.publish("calls.a", b"x" * 900)
        self.connected(self.client)
        self.network.link.receive(info(max_payload=800))
        self.failureResultOf(large, PayloadTooLargeError)
        self.assertEqual(len(looked_at), 1)
        self.assertEqual(len(self.turn()), 20)
