"""natsroute.jetstream.key_value.config"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import SubjectError
from natsroute.jetstream.errors import BucketConfigError
from natsroute.jetstream.key_value.config import BucketConfig, BucketStatus
from natsroute.jetstream.management.streams import StreamInfo


class ConfigTests(SynchronousTestCase):
    """Buckets as streams; tests.interop compares them with those of nats-py."""

    def test_default(self) -> None:
        stream = BucketConfig().stream("calls")
        self.assertEqual((stream.name, stream.subjects), ("KV_calls", ("$KV.calls.>",)))
        self.assertEqual((stream.max_msgs_per_subject, stream.max_age, stream.duplicate_window), (1, 0, 120))

    def test_options(self) -> None:
        config = BucketConfig(history=5, ttl=30, limit_marker_ttl=2, description="x", compression=True)
        stream = config.stream("calls")
        self.assertEqual((stream.max_msgs_per_subject, stream.max_age, stream.duplicate_window), (5, 30, 30))
        self.assertEqual((stream.subject_delete_marker_ttl, stream.description, stream.compression), (2, "x", "s2"))

    def test_what_cannot_be(self) -> None:
        bad: list[dict[str, Any]] = [{"history": 0}, {"history": 65}, {"ttl": 0}, {"limit_marker_ttl": -1}]
        for options in bad:
            with self.assertRaisesRegex(BucketConfigError, next(iter(options))):
                BucketConfig(**options)
        with self.assertRaises(SubjectError):
            BucketConfig().stream("a.b")

    def test_status(self) -> None:
        config = BucketConfig(history=2, ttl=60, limit_marker_ttl=1, compression=True).stream("b").to_json()
        state = {"messages": 3, "bytes": 99, "first_seq": 1, "last_seq": 3, "consumer_count": 0}
        answer = {"config": {**config, "mirror": {"name": "KV_a"}}, "state": state, "created": ""}
        status = BucketStatus.of(StreamInfo.from_json(answer))
        self.assertEqual((status.bucket, status.values, status.bytes, status.history), ("b", 3, 99, 2))
        self.assertEqual((status.ttl, status.limit_marker_ttl, status.is_compressed), (60.0, 1.0, True))
        self.assertEqual((status.allows_ttl, status.allows_direct, status.is_mirror), (True, True, True))
