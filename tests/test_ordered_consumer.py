"""natsroute.jetstream.consuming.ordered_consumer"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from natsroute.jetstream.consuming.ephemeral_consumers import Start
from natsroute.jetstream.errors import StreamNotFoundError
from tests.support.memory_api import CONSUMER, refusal
from tests.support.ordered_case import OrderedCase


class ReadingTests(OrderedCase):
    """Messages, in their order."""

    def test_messages(self) -> None:
        consumer = self.reading()
        self.deliver(1, 2, 7, num_pending=4)
        self.assertEqual(self.sequences, [1, 2, 7])
        self.assertEqual((consumer.received, consumer.last_sequence, consumer.num_pending), (3, 7, 4))

    def test_consumer(self) -> None:
        """It acknowledges nothing, and lives in memory."""
        self.reading(filter_subjects=["calls.1"], headers_only=True, start=Start("by_start_time", time=0))
        (config,) = self.configs
        self.assertEqual(config.pop("name"), self.name)
        self.assertEqual(
            config,
            {
                "ack_policy": "none",
                "mem_storage": True,
                "num_replicas": 1,
                "inactive_threshold": 300_000_000_000,
                "filter_subject": "calls.1",
                "headers_only": True,
                "deliver_policy": "by_start_time",
                "opt_start_time": "1970-01-01T00:00:00.000000000Z",
            },
        )

    def test_pulls(self) -> None:
        """The next one is sent when half of the batch has come."""
        self.reading()
        self.assertEqual(self.pulls()[0][::2], (self.name, 10))
        self.deliver(1, 2, 3, 4)
        self.assertEqual(self.batches(), [])
        self.deliver(5)
        self.assertEqual(self.batches(), [5])

    def test_slow_receiver(self) -> None:
        """What waits for it is not asked for again."""
        consumer = self.reading()
        consumer.hold()
        self.pulls()
        self.deliver(*range(1, 11))
        self.assertEqual((self.batches(), consumer.pending, len(consumer.pending_subjects)), ([], 10, 10))
        consumer.release()
        self.assertEqual((self.batches(), consumer.pending, len(self.sequences)), ([10], 0, 10))

    def test_statuses(self) -> None:
        """After those that end a pull, another one is sent."""
        self.reading()
        for text in (
            "408 Request Timeout",
            "404 No Messages",
            "409 Batch Completed",
            "409 Message Size Exceeds MaxBytes",
        ):
            (pull,) = self.pulls()
            self.status(pull, text)
        self.assertEqual((self.batches(), self.consumer.created), ([10], 1))

    def test_starts_when_connected(self) -> None:
        self.connected(self.client)
        self.make().start()
        self.create()
        self.assertEqual(self.batches(), [10])
        self.consumer.start()
        self.assertEqual(self.api.asked, [])

    def test_malformed(self) -> None:
        """What is no message of this consumer is ignored."""
        self.reading()
        self.network.link.receive(b"MSG calls.1 1 reply 1\r\nx\r\n")
        self.network.link.receive(b"MSG _INBOX.x 1 1\r\nx\r\n")
        self.deliver(1, name="other")
        self.assertEqual((self.sequences, self.consumer.created, self.api.asked), ([], 1, []))

    def test_raises(self) -> None:
        """An exception of the receiver is logged, and does not stop the reading."""
        consumer = self.reading(num_pending=1)
        consumer._on_msg = lambda msg: 1 // 0  # type: ignore[return-value]
        self.deliver(1, num_pending=0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(consumer.caught_up, True)


class CaughtUpTests(OrderedCase):
    """When everything is there that was there at the beginning."""

    def test_nothing(self) -> None:
        self.reading(0)
        self.assertEqual(self.caught_up, [0])

    def test_after_the_last_one(self) -> None:
        self.reading(2)
        self.deliver(1)
        self.assertEqual(self.caught_up, [])
        self.deliver(2, 3)
        self.assertEqual(self.caught_up, [2])

    def test_when_it_is_handled(self) -> None:
        """A receiver may return a Deferred."""
        busy: Deferred[None] = Deferred()
        self.busy = busy
        self.reading(1)
        self.deliver(1)
        self.assertEqual(self.caught_up, [])
        busy.callback(None)
        self.assertEqual((self.caught_up, self.consumer.caught_up), ([1], True))

    def test_removed_meanwhile(self) -> None:
        """A heartbeat makes natsroute ask what is still to come."""
        self.reading(2)
        (pull,) = self.pulls()
        self.deliver(1)
        self.status(pull, "100 Idle Heartbeat")
        delivered = {"consumer_seq": 1, "stream_seq": 9}
        self.api.answer({**CONSUMER, "name": self.name, "num_pending": 0, "delivered": delivered})
        self.assertEqual(self.caught_up, [1])

    def test_on_its_way(self) -> None:
        """A message that the server has delivered, and that is not here yet."""
        self.reading(2)
        (pull,) = self.pulls()
        self.deliver(1)
        self.status(pull, "100 Idle Heartbeat")
        delivered = {"consumer_seq": 2, "stream_seq": 2}
        self.api.answer({**CONSUMER, "name": self.name, "num_pending": 0, "delivered": delivered})
        self.assertEqual(self.caught_up, [])
        self.deliver(2, num_pending=0)
        self.assertEqual(self.caught_up, [2])


class AnotherConsumerTests(OrderedCase):
    """What happens when the consumer is of no more use."""

    def test_gap(self) -> None:
        """A message is missing: it is read again, and those behind it are ignored."""
        self.reading()
        self.deliver(1, 2)
        former = self.name
        self.deliver(4, 5, skip=1)
        self.create()
        self.deliver(5, name=former)
        self.consumer_sequence = 0
        self.deliver(3, 4, 5)
        self.assertEqual(self.sequences, [1, 2, 3, 4, 5])
        self.assertEqual(
            (self.configs[1]["deliver_policy"], self.configs[1]["opt_start_seq"]), ("by_start_sequence", 3)
        )
        self.assertEqual((self.deleted, self.consumer.created), ([former], 2))

    def test_first_message_is_missing(self) -> None:
        """Then it begins as before."""
        self.reading(start=Start("by_start_sequence", 7))
        self.deliver(8, skip=1)
        self.create()
        self.assertEqual(self.configs[1]["opt_start_seq"], 7)

    def test_only_new_ones(self) -> None:
        """What came after the first consumer was created is not lost."""
        consumer = self.make(start=Start("new"))
        consumer.start()
        self.connected(self.client)
        self.create(0, delivered=41)
        self.reconnect()
        self.create()
        self.assertEqual(self.configs[1]["opt_start_seq"], 42)

    def test_the_last_one(self) -> None:
        """It does not begin with a newer one than the first consumer, which brought nothing."""
        consumer = self.make(start=Start("last"))
        consumer.start()
        self.connected(self.client)
        self.create(1, delivered=41)
        self.reconnect()
        self.create()
        self.assertEqual(self.configs[1].get("opt_start_seq"), 42)

    def test_reconnect(self) -> None:
        consumer = self.reading()
        self.deliver(1)
        self.reconnect()
        self.pulls()
        self.create()
        self.assertEqual((self.batches(), self.configs[1]["opt_start_seq"], consumer.problem), ([10], 2, None))

    def test_reconnect_while_creating(self) -> None:
        """The request of the former connection counts no more."""
        self.make().start()
        self.connected(self.client)
        self.reconnect()
        self.api.asked.pop(0)
        self.create()
        self.assertEqual((self.consumer.created, self.batches()), (1, [10]))

    def test_missing_heartbeats(self) -> None:
        self.reading()
        self.clock.pump([7.5] * 4)
        self.assertEqual(self.api.asked, [])
        self.clock.pump([7.5])
        self.create()
        self.assertEqual((self.deleted, self.consumer.created), ([self.deleted[0]], 2))

    def test_heartbeats(self) -> None:
        """With them, nothing is wrong."""
        self.reading(0)
        (pull,) = self.pulls()
        for _ in range(20):
            self.clock.pump([7.5, 7.5])
            self.status(pull, "100 Idle Heartbeat")
            for again in self.pulls():
                pull = again
        self.assertEqual((self.api.asked, self.consumer.created), ([], 1))

    def test_statuses(self) -> None:
        """The first loss costs no wait."""
        for text in ("409 Consumer Deleted", "409 Leadership Change", "503", "409 Exceeded MaxWaiting"):
            self.setUp()
            self.reading()
            (pull,) = self.pulls()
            self.status(pull, text)
            self.create()
            self.assertEqual(self.consumer.created, 2, text)

    def test_waits(self) -> None:
        """Consumers that bring nothing are created less and less often."""
        self.reading()
        for wait in (0.0, 1.0, 2.0):
            (*_, pull) = self.pulls()
            self.status(pull, "409 Consumer Deleted")
            self.drop_deletions()
            if wait:
                self.assertEqual(self.api.asked, [])
                self.clock.advance(wait)
            self.create()
        self.deliver(1)
        (*_, pull) = self.pulls()
        self.status(pull, "409 Consumer Deleted")
        self.create()
        self.assertEqual(self.consumer.created, 5)

    def test_old_status(self) -> None:
        """What is said of a former consumer's pull means nothing."""
        self.reading()
        (pull,) = self.pulls()
        self.reconnect()
        self.create()
        self.status(pull, "409 Consumer Deleted")
        self.assertEqual((self.consumer.created, self.api.asked), (2, []))


class ProblemTests(OrderedCase):
    """Why nothing can be read."""

    def test_no_stream(self) -> None:
        """It is looked for until it is there."""
        consumer = self.make()
        consumer.start()
        self.connected(self.client)
        self.api.answer(refusal(10059, "stream not found"))
        self.assertIsInstance(consumer.problem, StreamNotFoundError)
        for wait in (1.0, 2.0):
            self.clock.advance(wait)
            self.api.answer(refusal(10059, "stream not found"))
        self.assertEqual(len(self.problems), 1)
        self.clock.advance(4.0)
        self.create()
        self.assertEqual((self.problems[1:], consumer.problem, self.batches()), ([None], None, [10]))

    def test_stream_created_again(self) -> None:
        """It is read from its beginning."""
        self.reading()
        self.deliver(1, 2)
        self.reconnect()
        self.create(created="2026-11-27T00:00:00Z")
        self.assertEqual((self.configs[1]["deliver_policy"], self.consumer.last_sequence), ("all", 0))
        self.deliver(1)
        self.assertEqual(self.sequences, [1, 2, 1])


class StopTests(OrderedCase):
    """The end."""

    def test_stop(self) -> None:
        """The consumer is deleted, and nothing is asked for any more."""
        consumer = self.reading()
        consumer.stop()
        consumer.stop()
        self.drop_deletions()
        self.assertEqual((self.deleted, consumer.pending), ([self.name], 0))
        self.reconnect()
        self.clock.pump([10.0] * 20)
        self.assertEqual((self.api.asked, self.clock.getDelayedCalls()[1:]), ([], []))

    def test_stop_while_creating(self) -> None:
        consumer = self.make()
        consumer.start()
        self.connected(self.client)
        consumer.stop()
        self.assertEqual((consumer.created, consumer.problem), (0, None))

    def test_start_again(self) -> None:
        """It goes on behind the last message."""
        consumer = self.reading()
        self.deliver(1)
        consumer.stop()
        consumer.start()
        self.create()
        self.assertEqual(self.configs[1]["opt_start_seq"], 2)

    def test_start_again_while_messages_wait(self) -> None:
        """They are read again, and counted once. A consumer that was created meanwhile had begun behind them."""
        consumer = self.reading()
        consumer.hold()
        self.deliver(1, 2)
        self.reconnect()
        self.create()
        self.deliver(3)
        consumer.stop()
        consumer.start()
        self.create()
        self.assertEqual(self.configs[2]["opt_start_seq"], 1)
        self.assertEqual((consumer.received, consumer.pending), (0, 0))
        self.deliver(1, 2, 3, sid=2)
        consumer.release()
        self.assertEqual((self.sequences, consumer.received), ([1, 2, 3], 3))

    def test_held_before_the_start(self) -> None:
        """And over a stop: what waits then is handed over when it is released."""
        consumer = self.make()
        consumer.hold()
        consumer.start()
        self.connected(self.client)
        self.create()
        self.deliver(1)
        consumer.stop()
        self.assertEqual((self.sequences, consumer.pending), ([], 1))
        consumer.release()
        self.assertEqual((self.sequences, consumer.pending, consumer.dropped), ([1], 0, 0))

    def test_another_receiver(self) -> None:
        consumer = self.reading()
        received: list[object] = []
        consumer.hand_to(received.append)
        self.deliver(1)
        self.assertEqual((len(received), self.sequences), (1, []))

    def test_not_started(self) -> None:
        consumer = self.make()
        consumer.hold()
        consumer.release()
        consumer.stop()
        self.assertEqual((consumer.pending, consumer.pending_subjects, consumer.num_pending), (0, [], None))
