"""natsroute.jetstream.consuming.puller: what is asked for, and what each status leads to."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from natsroute.client.subscription import PendingLimits
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.errors import ConsumerNotFoundError, JetStreamError
from tests.support.log_recorder import LogRecorder
from tests.support.pull_case import PullCase, info

MISSING = ConsumerNotFoundError("consumer not found", 404, 10014)


class PullerTests(PullCase):
    """A batch of 10."""

    def setUp(self) -> None:
        super().setUp()
        self.log = LogRecorder(self)

    # -- what is asked for --------------------------------------------------------------------------------------------

    def test_first_pull(self) -> None:
        self.consuming(PullOptions(batch=10, max_bytes=5000, expires=30.0))
        (pull,) = self.pulls()
        self.assertRegex(pull.pop("reply"), r"^_INBOX\.[0-9a-f]{22}\.1$")
        self.assertEqual(
            pull,
            {"batch": 10, "max_bytes": 5000, "expires": 30_000_000_000, "idle_heartbeat": 3_000_000_000},
        )

    def test_refill_at_half(self) -> None:
        """The next pull is sent before the last one is filled."""
        self.consuming()
        self.assertEqual(self.batches(), [10])
        self.deliver(4)
        self.assertEqual(self.batches(), [])
        self.deliver(1)
        self.assertEqual(self.batches(), [5])
        self.deliver(5)
        self.assertEqual(self.batches(), [5])
        self.deliver(100 // 5)
        self.assertEqual(self.batches(), [5] * 4)

    def test_batch_of_one(self) -> None:
        """The next pull is sent when the message is handled, so that another client may get the next one."""
        self.busy = Deferred()
        self.consuming(PullOptions(batch=1))
        self.assertEqual(self.batches(), [1])
        self.deliver(1)
        self.assertEqual((self.batches(), len(self.messages)), ([1], 1))
        self.deliver(1)
        self.assertEqual((self.batches(), len(self.messages)), ([], 1))
        self.busy.callback(None)
        self.assertEqual((self.batches(), len(self.messages)), ([1], 2))

    def test_slow_receiver(self) -> None:
        """What waits for the receiver counts as asked for."""
        consumer = self.consuming()
        consumer.hold()
        self.deliver(10)
        self.assertEqual((self.batches(), consumer.pending), ([10], 10))
        consumer.release()
        self.assertEqual((self.batches(), consumer.pending), ([10], 0))

    def test_bytes(self) -> None:
        """Half of the bytes of a pull have come: it may end by that without a word."""
        self.consuming(PullOptions(batch=10, max_bytes=1000))
        self.assertEqual(self.batches(), [10])
        self.deliver(2, b"x" * 250)
        self.assertEqual(self.batches(), [])
        self.deliver(1, b"x")
        self.assertEqual(self.batches(), [3])

    def test_many_bytes_wait(self) -> None:
        """As many as half of a pull may bring: no other pull is sent, and reading does not pause."""
        consumer = self.consuming(PullOptions(batch=100, max_bytes=1000))
        (pull,) = self.pulls()
        self.busy = Deferred()
        self.deliver(4, b"x" * 250)
        self.status(pull, "409 Message Size Exceeds MaxBytes", messages=96, bytes=0)
        self.assertEqual((self.batches(), consumer.pending), ([], 3))
        busy, self.busy = self.busy, Deferred()
        busy.callback(None)
        self.assertEqual((self.batches(), consumer.pending), ([98], 2))

    def test_limits_below_the_options(self) -> None:
        """No more is asked for than may wait."""
        self.consuming(PullOptions(batch=100, max_bytes=5000), limits=PendingLimits(20, 3000))
        (pull,) = self.pulls()
        self.assertEqual((pull["batch"], pull["max_bytes"]), (20, 1500))

    # -- pulls that end -----------------------------------------------------------------------------------------------

    def test_expired(self) -> None:
        """The next pull asks for what the last one did not bring."""
        consumer = self.consuming()
        (pull,) = self.pulls()
        self.deliver(3)
        self.clock.advance(2.0)
        self.status(pull, "408 Request Timeout", messages=7, bytes=900)
        self.assertEqual(self.batches(), [10])
        self.assertEqual(consumer.statistics.empty_answers, 1)

    def test_expired_with_another_pull(self) -> None:
        self.consuming()
        (pull,) = self.pulls()
        self.deliver(6)
        self.assertEqual(self.batches(), [5])
        self.clock.advance(2.0)
        self.status(pull, "408 Request Timeout", messages=5)  # so the other one has brought one
        self.assertEqual(self.batches(), [6])

    def test_no_messages(self) -> None:
        """A pull that ends at once does not lead to the next one at once, however often."""
        consumer = self.consuming()
        self.api.asked.clear()
        for wait in (0.0, 1.0, 2.0, 4.0):
            (pull,) = self.pulls()
            self.status(pull, "404 No Messages")
            if wait:
                self.assertEqual(self.batches(), [])
            self.clock.advance(wait)
        self.assertEqual((self.batches(), consumer.problem), ([10], None))

    def test_batch_completed(self) -> None:
        self.consuming()
        (pull,) = self.pulls()
        self.deliver(4)
        self.status(pull, "409 Batch Completed", messages=6)
        self.assertEqual(self.batches(), [10])

    def test_heartbeat(self) -> None:
        self.consuming()
        (pull,) = self.pulls()
        self.status(pull, "100 Idle Heartbeat")
        self.assertEqual((self.batches(), self.messages), ([], []))

    def test_message_too_large_for_the_rest(self) -> None:
        """The pull has brought messages: the next one has room again."""
        self.consuming(PullOptions(batch=10, max_bytes=1000))
        (pull,) = self.pulls()
        self.deliver(2)
        self.status(pull, "409 Message Size Exceeds MaxBytes", messages=8, bytes=900)
        self.assertEqual([(one["batch"], one["max_bytes"]) for one in self.pulls()], [(10, 1000)])

    def test_message_too_large(self) -> None:
        """The pull has brought nothing: the next ones ask for more bytes, which is in the log once."""
        self.consuming(PullOptions(batch=10, max_bytes=1000))
        for max_bytes in (1000, 2000, 4000):
            (pull,) = self.pulls()
            self.assertEqual(pull["max_bytes"], max_bytes)
            self.status(pull, "409 Message Size Exceeds MaxBytes", messages=10, bytes=max_bytes)
        self.assertEqual(len(self.log.matching("more than 1000 bytes")), 1)
        self.assertEqual(self.log.lines("error"), [])

    def test_message_larger_than_allowed(self) -> None:
        self.api.answer = info(max_bytes=1000)
        consumer = self.consuming(PullOptions(batch=10, max_bytes=1000))
        (pull,) = self.pulls()
        self.status(pull, "409 Message Size Exceeds MaxBytes", messages=10, bytes=1000)
        self.assertIn("Raise max_bytes of the consumer", str(consumer.problem))
        self.assertEqual(self.batches(), [])
        self.clock.advance(1.0)
        self.assertEqual(self.batches(), [10])

    # -- the consumer moves, or is gone -------------------------------------------------------------------------------

    def test_leadership_change(self) -> None:
        """The next pull follows at once. Other pulls get the same status, which counts once."""
        self.consuming()
        (first,) = self.pulls()
        self.deliver(5)
        (second,) = self.pulls()
        self.api.asked.clear()
        for pull in (first, second):
            self.status(pull, "409 Leadership Change")
        self.assertEqual((self.batches(), self.api.asked), ([10], []))
        self.deliver(1)
        self.status(second, "409 Leadership Change")
        self.assertEqual(self.batches(), [])

    def test_leaders_change_again_and_again(self) -> None:
        self.consuming()
        for _ in range(2):
            (pull,) = self.pulls()
            self.status(pull, "409 Leadership Change")
        self.assertEqual(self.batches(), [])
        self.clock.advance(1.0)
        (pull,) = self.pulls()
        self.status(pull, "100 Idle Heartbeat")
        self.status(pull, "409 Server Shutdown")
        self.assertEqual(self.batches(), [10])

    def test_deleted(self) -> None:
        consumer = self.consuming()
        (pull,) = self.pulls()
        self.api.answer = MISSING
        self.status(pull, "409 Consumer Deleted")
        self.assertEqual((consumer.problem, self.problems, self.batches()), (MISSING, [MISSING], []))
        self.api.answer = info()
        self.clock.advance(1.0)
        self.assertEqual((self.batches(), consumer.problem), ([10], MISSING))
        self.deliver(5)
        self.assertEqual((consumer.problem, self.problems), (None, [MISSING, None]))

    def test_no_responders(self) -> None:
        """Nothing answers for the consumer: is it gone, or has it no leader?"""
        consumer = self.consuming()
        self.api.asked.clear()
        for wait in (0.0, 1.0, 2.0):
            (pull,) = self.pulls()
            self.status(pull, "503")
            self.clock.advance(wait)
        self.assertEqual((len(self.api.asked), consumer.problem), (3, None))
        self.deliver(5)
        self.assertEqual(consumer.problem, None)

    def test_push_consumer(self) -> None:
        consumer = self.consuming()
        (pull,) = self.pulls()
        self.api.answer = info(deliver_subject="push")
        self.status(pull, "409 Consumer is push based")
        self.assertIn("deliver_subject", str(consumer.problem))

    # -- refused pulls ------------------------------------------------------------------------------------------------

    def test_too_many(self) -> None:
        """The log says what to do, once, and the next pulls wait."""
        for text in ("409 Exceeded MaxAckPending", "409 Exceeded MaxWaiting", "409 Something New"):
            with self.subTest(text):
                self.setUp()
                self.consuming()
                for wait in (0.0, 1.0, 2.0):
                    self.clock.advance(wait)
                    (pull,) = self.pulls()
                    self.status(pull, text)
                self.assertEqual(len(self.log.matching(text)), 1)

    def test_too_much(self) -> None:
        """The next pull asks for what is allowed, at once."""
        self.consuming(PullOptions(batch=10, max_bytes=1000, expires=30.0))
        (pull,) = self.pulls()
        for text, name, value in (
            ("409 Exceeded MaxRequestBatch of 4", "batch", 4),
            ("409 Exceeded MaxRequestExpires of 10s", "expires", 10_000_000_000),
            ("409 Exceeded MaxRequestMaxBytes of 500", "max_bytes", 500),
        ):
            self.status(pull, text)
            (pull,) = self.pulls()
            self.assertEqual(pull[name], value)
            self.assertEqual(len(self.log.matching(text)), 1)

    def test_too_much_without_a_number(self) -> None:
        self.consuming()
        (pull,) = self.pulls()
        self.status(pull, "409 Exceeded MaxRequestBatch of many")
        (pull,) = self.pulls()
        self.status(pull, "409 Exceeded MaxRequestBatch of many")
        self.assertEqual(self.batches(), [])

    def test_bad_request(self) -> None:
        consumer = self.consuming(PullOptions(batch=10, group="jobs"))
        (pull,) = self.pulls()
        self.status(pull, "400 Bad Request - Invalid Priority Group")
        self.assertEqual(self.batches(), [])
        self.assertIsInstance(consumer.problem, JetStreamError)
        self.assertIn("no priority policy", str(consumer.problem))
        self.clock.advance(1.0)
        (pull,) = self.pulls()
        self.assertEqual(self.problems, [consumer.problem])  # it is over only when a pull succeeds
        self.status(pull, "100 Idle Heartbeat")
        self.assertEqual(consumer.problem, None)

    def test_stray_statuses(self) -> None:
        """Of no pull, or of one before a reconnect."""
        self.consuming()
        (pull,) = self.pulls()
        inbox = pull["reply"].removesuffix(".1")
        for token in ("2", "0", "x", "9" * 30, "\u0663"):
            self.status({"reply": f"{inbox}.{token}"}, "409 Consumer Deleted")
        self.reconnect()
        self.assertEqual(self.batches(), [10])
        self.status(pull, "409 Consumer Deleted")
        self.assertEqual((self.batches(), self.problems), ([], []))

    # -- priority groups ----------------------------------------------------------------------------------------------

    def test_pin(self) -> None:
        """The ID of the pin goes back with each pull, until another client has the pin."""
        consumer = self.consuming(PullOptions(batch=10, group="jobs"))
        (pull,) = self.pulls()
        self.assertEqual((pull["group"], pull.get("id")), ("jobs", None))
        self.deliver(5, headers=b"Nats-Pin-Id: one")
        (pull,) = self.pulls()
        self.assertEqual(pull["id"], "one")
        self.status(pull, "423 Nats-Wrong-Pin-Id", messages=5)
        (pull,) = self.pulls()
        self.assertEqual((pull["batch"], pull.get("id"), consumer.problem), (5, None, None))

    def test_late_status_of_a_pin(self) -> None:
        """A refusal of a pull with the pin before does not drop the new one."""
        self.consuming(PullOptions(batch=10, group="jobs"))
        self.deliver(5, headers=b"Nats-Pin-Id: one")
        _, with_one = self.pulls()
        self.deliver(1, headers=b"Nats-Pin-Id: two")
        self.status(with_one, "423 Nats-Wrong-Pin-Id", messages=5)
        (pull,) = self.pulls()
        self.assertEqual(pull["id"], "two")
