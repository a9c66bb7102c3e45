"""natsroute.jetstream.consuming.pull_consumer"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from natsroute.errors import RequestTimeoutError
from natsroute.jetstream.errors import ConsumerNotFoundError
from natsroute.message import Message
from tests.support.connection_case import A, B
from tests.support.log_recorder import LogRecorder
from tests.support.memory_network import info as info_line
from tests.support.pull_case import PullCase, info

MISSING = ConsumerNotFoundError("consumer not found", 404, 10014)


class PullConsumerTests(PullCase):
    """From the start to the end of a consumer."""

    def test_messages(self) -> None:
        """They are of the connection's type, with subject and ack subject of the stream."""
        self.client = self.connection(message_type=Message)
        consumer = self.consuming()
        self.deliver(2, b"hello")
        first, _ = self.messages
        self.assertIsInstance(first, Message)
        self.assertEqual((first.subject, first.data), ("calls", b"hello"))
        self.assertEqual(first.reply_to, b"$JS.ACK.S.D.1.1.1.1700000000000000000.7")
        self.assertEqual((consumer.received, consumer.pending, consumer.dropped), (2, 0, 0))
        assert consumer.info is not None
        self.assertEqual(consumer.info.config.ack_wait, 30.0)

    def test_starts_when_connected(self) -> None:
        self.connected(self.client)
        consumer = self.consumer()
        self.assertEqual((self.batches(), self.api.asked), ([], []))
        consumer.start()
        self.assertEqual(self.batches(), [10])

    def test_does_not_exist_yet(self) -> None:
        self.api.answer = MISSING
        consumer = self.consuming()
        self.assertEqual((self.batches(), consumer.problem, consumer.info), ([], MISSING, None))
        self.api.answer = info()
        self.clock.advance(1.0)
        self.assertEqual(self.batches(), [10])

    def test_prepare(self) -> None:
        """It is awaited before the consumer is looked for; what it raises is a problem, and tried again."""
        prepared: list[float] = []

        async def prepare() -> None:
            prepared.append(self.clock.seconds())
            if len(prepared) == 1:
                raise MISSING

        consumer = self.consuming(prepare=prepare)
        self.assertEqual((self.batches(), consumer.problem, self.api.asked), ([], MISSING, []))
        self.clock.advance(1.0)
        self.assertEqual((self.batches(), len(prepared), len(self.api.asked)), ([10], 2, 1))

    def test_lost_connection(self) -> None:
        """The next one begins with a pull, and nothing that was asked for before counts."""
        consumer = self.consuming()
        self.deliver(3)
        self.assertEqual(self.batches(), [10])
        self.reconnect()
        self.assertEqual(self.batches(), [10])
        self.assertEqual((consumer.received, consumer.problem), (3, None))
        self.deliver(5)
        self.assertEqual(self.batches(), [5])

    def test_lame_duck(self) -> None:
        """The next server has the subscription before the last one is left, and gets a pull of its own."""
        self.client = self.connection(A, B)
        consumer = self.consuming()
        old = self.network.link
        self.said()
        old.receive(info_line(ldm=True, connect_urls=["b:4222"]))
        self.deliver(1)
        self.accept()
        self.assertIsNot(self.network.link, old)
        self.assertIn(b"UNSUB 1", old.transport.sent())
        self.assertEqual((self.batches(), consumer.received), ([10], 1))

    def test_pending_messages_outlive_the_connection(self) -> None:
        """They are handled, and count as asked for."""
        consumer = self.consuming()
        consumer.hold()
        self.deliver(3)
        self.reconnect()
        self.assertEqual(self.batches(), [7])
        consumer.release()
        self.assertEqual(len(self.messages), 3)

    def test_lost_while_looking_up(self) -> None:
        self.api.answer = None
        self.consuming()
        self.api.answer = info()
        self.reconnect()
        self.assertEqual(self.batches(), [10])

    def test_heartbeats(self) -> None:
        consumer = self.consuming()
        (pull,) = self.pulls()
        for _ in range(5):
            self.clock.pump([1.0] * 5)
            self.status(pull, "100 Idle Heartbeat")
        self.assertEqual((self.batches(), consumer.statistics.missed_heartbeats), ([], 0))

    def test_missing_heartbeats(self) -> None:
        """After two of them, once for each silence."""
        log = LogRecorder(self)
        consumer = self.consuming()
        (pull,) = self.pulls()
        self.clock.pump([1.5] * 4)
        self.assertEqual(self.batches(), [])
        self.clock.pump([1.5])
        self.assertEqual((self.batches(), consumer.statistics.missed_heartbeats), ([10], 1))
        self.assertEqual(len(log.matching("heartbeats of S:D are missing")), 1)
        self.assertEqual(len(self.api.asked), 2)  # it may be gone
        self.status(pull, "408 Request Timeout", messages=10)  # it was late
        self.assertEqual(self.batches(), [])

    def test_long_silence(self) -> None:
        """The log has one line for each silence."""
        log = LogRecorder(self)
        consumer = self.consuming()
        for lines in (1, 2):
            self.clock.pump([1.5] * 20)
            self.assertEqual(len(log.matching("heartbeats of S:D are missing")), lines)
            self.deliver(1)
        self.assertGreater(consumer.statistics.missed_heartbeats, 4)

    def test_slow_receiver_misses_nothing(self) -> None:
        """No pull, no heartbeats."""
        consumer = self.consuming()
        consumer.hold()
        self.deliver(10)
        self.clock.pump([5.0] * 40)
        self.assertEqual((consumer.statistics.missed_heartbeats, self.batches()), (0, [10]))

    def test_progress(self) -> None:
        """Messages that wait are in progress, so that the server does not deliver them again."""
        self.api.answer = info(ack_wait=30_000_000_000)
        consumer = self.consuming()
        consumer.hold()
        self.deliver(2)
        self.said()
        self.clock.pump([5.0] * 3)
        self.assertEqual(self.said().count(b"+WPI"), 4)
        self.clock.pump([10.0, 0.0])
        self.assertEqual(self.said().count(b"+WPI"), 2)
        consumer.release()
        self.clock.pump([10.0, 0.0])
        self.assertEqual(self.said().count(b"+WPI"), 0)

    def test_short_ack_wait(self) -> None:
        """It is respected from the moment at which it is known."""
        self.api.answer = info(ack_wait=900_000_000)
        consumer = self.consuming()
        consumer.hold()
        self.deliver(1)
        self.said()
        self.clock.pump([0.3, 0.0])
        self.assertEqual(self.said().count(b"+WPI"), 1)

    def test_no_progress_without_acknowledgements(self) -> None:
        self.api.answer = info(ack_policy="none")
        consumer = self.consuming()
        consumer.hold()
        self.deliver(2)
        self.clock.pump([5.0] * 10)
        self.assertNotIn(b"+WPI", self.said())

    def test_lag(self) -> None:
        self.api.answer = info(num_pending=9)
        consumer = self.consumer()
        self.assertIsNone(consumer.num_pending)
        consumer.start()
        self.connected(self.client)
        self.assertEqual(consumer.num_pending, 9)
        self.deliver(1)
        self.assertEqual(consumer.num_pending, 7)
        self.api.answer = info(num_pending=3)
        self.clock.pump([1.5] * 20)
        self.assertEqual(consumer.num_pending, 3)

    def wait_with_heartbeats(self, pull: dict[str, Any]) -> None:
        """Thirty seconds without a message."""
        for _ in range(10):
            self.clock.pump([1.5, 1.5])
            self.status(pull, "100 Idle Heartbeat")

    def test_regular_look_up(self) -> None:
        """The consumer may change, or disappear without a word."""
        consumer = self.consuming()
        (pull,) = self.pulls()
        self.assertEqual(len(self.api.asked), 1)
        self.api.answer = RequestTimeoutError("$JS.API.CONSUMER.INFO.S.D", 5.0, was_sent=True)
        self.wait_with_heartbeats(pull)
        self.assertEqual((len(self.api.asked), consumer.problem), (2, None))
        self.api.answer = MISSING
        self.wait_with_heartbeats(pull)
        self.assertIs(consumer.problem, MISSING)

    def test_statistics(self) -> None:
        consumer = self.consuming()
        self.deliver(4)
        self.deliver(2, delivered=2)
        found = consumer.statistics
        self.assertEqual((found.pulls, found.redelivered, found.empty_answers, found.dropped_acks), (2, 2, 0, 0))

    def test_drain(self) -> None:
        """What is on its way is taken; no pull follows, also not at the next server."""
        consumer = self.consuming()
        self.said()
        drained = consumer.drain()
        self.assertNoResult(drained)
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\nPING\r\n")
        self.deliver(9)
        self.network.link.receive(b"PONG\r\n")
        self.successResultOf(drained)
        self.assertEqual((len(self.messages), self.batches()), (9, []))
        self.reconnect()
        self.assertEqual(self.batches(), [])
        self.successResultOf(consumer.drain())

    def test_drain_without_a_connection(self) -> None:
        consumer = self.consumer()
        consumer.start()
        self.successResultOf(consumer.drain())

    def test_progress_during_a_drain(self) -> None:
        """Pending messages are still handled after it."""
        consumer = self.consuming()
        consumer.hold()
        self.deliver(1)
        drained = consumer.drain()
        self.said()
        self.successResultOf(drained)
        self.clock.pump([5.0] * 3)
        self.assertIn(b"+WPI", self.said())
        consumer.release()
        self.assertEqual(len(self.messages), 1)

    def test_stop(self) -> None:
        """Nothing is left in the reactor."""
        consumer = self.consuming()
        consumer.stop()
        self.assertIn(b"UNSUB 1\r\n", self.said())
        self.client.stopService()
        self.network.link.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        consumer.stop()

    def test_start_again(self) -> None:
        """With the same connection, and with one that was stopped meanwhile."""
        consumer = self.consuming()
        consumer.drain()
        self.said()
        consumer.start()
        self.assertIn(
            b"SUB %b natsroute 1\r\n" % consumer._subscription.subject.encode(), self.network.link.transport.value()
        )
        self.assertEqual(self.batches(), [10])
        consumer.stop()
        self.client.stopService()
        self.network.link.lose()
        self.clock.advance(3600.0)
        consumer.start()
        self.connected(self.client)
        self.assertEqual(self.batches(), [10])
        self.deliver(1)
        self.assertEqual((len(self.messages), consumer.received), (1, 1))

    def test_busy_receiver_and_status(self) -> None:
        """Statuses are no messages: they are not pending, and not counted."""
        self.busy = Deferred()
        consumer = self.consuming()
        (pull,) = self.pulls()
        self.deliver(2)
        self.status(pull, "100 Idle Heartbeat")
        self.assertEqual((consumer.received, consumer.pending, consumer.pending_subjects), (2, 1, ["calls"]))
