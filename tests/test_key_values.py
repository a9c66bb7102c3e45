"""natsroute.daemon.key_values"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.key_values import memory_buckets
from natsroute.jetstream.errors import KeyValueNameError
from natsroute.jetstream.key_value_config import BucketConfig


class KeyValuesTests(SynchronousTestCase):
    """The buckets of a service."""

    def setUp(self) -> None:
        self.buckets = memory_buckets(Clock())

    def test_each_bucket_once(self) -> None:
        one = self.buckets.key_value("a")
        self.assertIs(self.buckets.key_value("a"), one)
        self.assertIsNot(self.buckets.key_value("b"), one)

    def test_configuration(self) -> None:
        """It may follow later."""
        one = self.buckets.key_value("a")
        self.assertIs(self.buckets.key_value("a", BucketConfig(history=5)), one)
        self.assertEqual(self.successResultOf(one.status()).history, 5)
        self.buckets.key_value("a")
        self.assertEqual(self.successResultOf(one.status()).history, 5)
        self.buckets.key_value("a", create=True)
        self.assertEqual(self.successResultOf(one.status()).history, 5)

    def test_name(self) -> None:
        self.assertRaises(KeyValueNameError, self.buckets.key_value, "a.b")
