"""natsroute.daemon.sending.key_values"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.sending.key_values import memory_buckets
from natsroute.errors import SubjectError
from natsroute.jetstream.errors import KeyNotFoundError
from natsroute.jetstream.key_value.config import BucketConfig


class KeyValuesTests(SynchronousTestCase):
    """The buckets of a service."""

    def setUp(self) -> None:
        self.buckets = memory_buckets(Clock())

    def test_each_bucket_once(self) -> None:
        self.successResultOf(self.buckets.key_value("a").put("x", b"1"))
        self.assertEqual(self.successResultOf(self.buckets.key_value("a").get("x")).value, b"1")
        self.failureResultOf(self.buckets.key_value("b").get("x"), KeyNotFoundError)

    def test_configuration(self) -> None:
        """It may follow later."""
        one = self.buckets.key_value("a")
        self.buckets.key_value("a", BucketConfig(history=5))
        self.assertEqual(self.successResultOf(one.status()).history, 5)
        self.buckets.key_value("a")
        self.assertEqual(self.successResultOf(one.status()).history, 5)
        self.buckets.key_value("a", create=True)
        self.assertEqual(self.successResultOf(one.status()).history, 5)

    def test_watches_end(self) -> None:
        """The service has stopped."""
        watch = self.buckets.key_value("a").watch(lambda entry: None)
        self.buckets.stop_watches()
        self.assertTrue(watch.stopped)

    def test_name(self) -> None:
        self.assertRaises(SubjectError, self.buckets.key_value, "a.b")
