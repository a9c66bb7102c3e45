"""natsroute.jetstream.key_value_config"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.errors import BucketConfigError, KeyValueNameError
from natsroute.jetstream.key_value_config import BucketConfig, BucketStatus


class ConfigTests(SynchronousTestCase):
    """Buckets as streams; tests.interop compares them with those of nats-py."""

    def test_default(self) -> None:
        stream = BucketConfig().stream("calls")
        self.assertEqual((stream["name"], stream["subjects"]), ("KV_calls", ["$KV.calls.>"]))
        self.assertEqual((stream["max_msgs_per_subject"], stream["max_age"]), (1, 0))
        self.assertEqual(stream["duplicate_window"], 120 * 10**9)

    def test_options(self) -> None:
        config = BucketConfig(history=5, ttl=30, limit_marker_ttl=2, description="x", compression=True)
        stream = config.stream("calls")
        self.assertEqual((stream["max_msgs_per_subject"], stream["max_age"]), (5, 30 * 10**9))
        self.assertEqual((stream["duplicate_window"], stream["subject_delete_marker_ttl"]), (30 * 10**9, 2 * 10**9))
        self.assertEqual((stream["description"], stream["compression"]), ("x", "s2"))

    def test_what_cannot_be(self) -> None:
        bad: list[dict[str, Any]] = [{"history": 0}, {"history": 65}, {"ttl": 0}, {"limit_marker_ttl": -1}]
        for options in bad:
            with self.assertRaisesRegex(BucketConfigError, next(iter(options))):
                BucketConfig(**options)
        with self.assertRaises(KeyValueNameError):
            BucketConfig().stream("a.b")

    def test_differences(self) -> None:
        config = BucketConfig(history=5)
        server = {**config.stream("b"), "compression": "none", "retention": "limits"}
        self.assertEqual(config.differences("b", server), [])
        server.pop("max_age")
        self.assertEqual(config.differences("b", server), [])
        self.assertEqual(
            config.differences("b", {**server, "max_msgs_per_subject": 1, "description": "y"}),
            ["description is 'y' and not ''", "max_msgs_per_subject is 1 and not 5"],
        )

    def test_status(self) -> None:
        config = BucketConfig(history=2, ttl=60, limit_marker_ttl=1, compression=True).stream("b")
        status = BucketStatus.of({"config": config, "state": {"messages": 3, "bytes": 99}})
        self.assertEqual((status.bucket, status.values, status.bytes, status.history), ("b", 3, 99, 2))
        self.assertEqual((status.ttl, status.limit_marker_ttl, status.is_compressed), (60.0, 1.0, True))
        self.assertEqual((status.allows_ttl, status.allows_direct, status.is_mirror), (True, True, False))
