"""natsroute.jetstream.key_value.memory; tests.test_key_value uses it, too"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import HeaderError
from natsroute.jetstream.errors import MessageTtlError, StreamFullError
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.jetstream.key_value.memory import MemoryBucket


class MemoryBucketTests(SynchronousTestCase):
    """What a server does."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.bucket = MemoryBucket("b", self.clock)

    def run_now(self, coroutine: Any) -> Any:
        """The result of a coroutine that does not wait."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def fails(self, coroutine: Any, kind: type[Exception]) -> None:
        """It fails."""
        self.failureResultOf(Deferred.fromCoroutine(coroutine), kind)

    def test_refusals(self) -> None:
        self.bucket.configure(BucketConfig(max_value_size=2))
        self.fails(self.bucket.store("a", b"123", {}), StreamFullError)
        self.fails(self.bucket.store("a", b"", {"Nats-TTL": "soon"}), MessageTtlError)
        self.fails(self.bucket.store("a", b"", {"a b": "c"}), HeaderError)
        self.assertEqual(self.run_now(self.bucket.store("a", b"12", {})), 1)

    def test_the_ttl_of_the_bucket(self) -> None:
        """An entry with a TTL of its own has that."""
        self.bucket.configure(BucketConfig(ttl=10))
        self.run_now(self.bucket.store("a", b"", {}))
        self.run_now(self.bucket.store("b", b"", {"Nats-TTL": "20s"}))
        self.clock.advance(10)
        self.assertIsNone(self.run_now(self.bucket.last("a")))
        self.assertEqual(self.run_now(self.bucket.last("b")).revision, 2)

    def test_marks(self) -> None:
        """If it is asked for, an entry that has expired leaves a mark, which expires, too."""
        self.bucket.configure(BucketConfig(limit_marker_ttl=5))
        self.run_now(self.bucket.store("a", b"", {"Nats-TTL": "1s"}))
        self.clock.advance(1)
        mark = self.run_now(self.bucket.last("a"))
        self.assertEqual((mark.operation, mark.revision), ("purge", 2))
        self.clock.advance(5)
        self.assertIsNone(self.run_now(self.bucket.last("a")))

    def test_an_older_entry_expires(self) -> None:
        """The newer one stays, and there is no mark."""
        self.bucket.configure(BucketConfig(history=3, limit_marker_ttl=5))
        self.run_now(self.bucket.store("a", b"1", {"Nats-TTL": "1s"}))
        self.run_now(self.bucket.store("a", b"2", {}))
        self.clock.advance(1)
        self.assertEqual(self.run_now(self.bucket.status()).values, 1)
        self.assertEqual(self.run_now(self.bucket.last("a")).value, b"2")
