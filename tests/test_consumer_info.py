"""natsroute.jetstream.consumer_info"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.consumer_info import consumer_info


class ConsumerInfoTests(SynchronousTestCase):
    """Answers of CONSUMER.INFO."""

    def test_fields(self) -> None:
        info = consumer_info(
            {
                "config": {
                    "ack_policy": "explicit",
                    "ack_wait": 30_000_000_000,
                    "max_deliver": 5,
                    "backoff": [1_000_000_000, 60_000_000_000],
                    "max_ack_pending": 1000,
                    "max_batch": 10,
                    "max_expires": 2_000_000_000,
                    "max_bytes": 4096,
                    "priority_policy": "overflow",
                    "priority_groups": ["jobs"],
                },
                "num_pending": 7,
                "num_ack_pending": 3,
                "num_redelivered": 1,
                "ack_floor": {"consumer_seq": 9, "stream_seq": 8},
                "cluster": {"leader": "a"},
            }
        )
        self.assertEqual((info.ack_wait, info.max_deliver, info.backoff), (30.0, 5, (1.0, 60.0)))
        self.assertEqual(
            (info.max_ack_pending, info.max_batch, info.max_expires, info.max_bytes), (1000, 10, 2.0, 4096)
        )
        self.assertEqual((info.priority_policy, info.priority_groups), ("overflow", ("jobs",)))
        self.assertEqual((info.pending, info.ack_pending, info.redelivered, info.ack_floor), (7, 3, 1, 8))
        self.assertEqual((info.leader, info.is_push, info.shortest_wait), ("a", False, 1.0))

    def test_no_limits(self) -> None:
        info = consumer_info({"config": {"max_deliver": -1, "max_ack_pending": -1, "ack_wait": 5_000_000_000}})
        self.assertEqual((info.max_deliver, info.max_ack_pending, info.max_batch, info.backoff), (None, None, None, ()))
        self.assertEqual((info.shortest_wait, info.pending, info.ack_floor, info.leader), (5.0, 0, 0, ""))

    def test_no_acknowledgements(self) -> None:
        """Then nothing is delivered again."""
        info = consumer_info({"config": {"ack_policy": "none", "ack_wait": 5_000_000_000}})
        self.assertEqual(info.shortest_wait, 0.0)

    def test_push(self) -> None:
        self.assertTrue(consumer_info({"config": {"deliver_subject": "x"}}).is_push)

    def test_malformed(self) -> None:
        """Fields of other types count as not set."""
        for answer in ({}, {"config": 1}, {"config": {"backoff": 3, "max_batch": "x", "priority_groups": None}}):
            info = consumer_info(answer)
            self.assertEqual((info.backoff, info.max_batch, info.priority_groups), ((), None, ()))
