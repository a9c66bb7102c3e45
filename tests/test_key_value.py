"""natsroute.jetstream.key_value.key_value, with a bucket in memory; tests.integration has the same with a server"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PayloadError, SubjectError
from natsroute.jetstream.errors import BucketConfigError, KeyExistsError, KeyNotFoundError, WrongLastSequenceError
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.jetstream.key_value.key_value import KeyValue
from natsroute.jetstream.key_value.memory import MemoryBucket

#: 7 seconds after the beginning of 1970.
_AT_7 = datetime(1970, 1, 1, 0, 0, 7, tzinfo=timezone.utc)


class KeyValueTests(SynchronousTestCase):
    """What can be done with a bucket."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.bucket = MemoryBucket("calls", self.clock)
        self.kv = KeyValue(self.bucket)

    def result(self, deferred: Deferred[Any]) -> Any:
        """What it has fired with."""
        return self.successResultOf(deferred)

    def test_put_and_get(self) -> None:
        self.clock.advance(7)
        self.assertEqual(self.result(self.kv.put("a", {"n": 1})), 1)
        self.assertEqual(self.result(self.kv.put("a.b", "text")), 2)
        entry = self.result(self.kv.get("a"))
        self.assertEqual((entry.bucket, entry.key, entry.value, entry.json()), ("calls", "a", b'{"n":1}', {"n": 1}))
        self.assertEqual(
            (entry.revision, entry.created, entry.operation),
            (1, _AT_7, "put"),
        )
        self.assertEqual(self.result(self.kv.get("a.b")).text(), "text")

    def test_keys_that_are_not_there(self) -> None:
        """There never was one; it was deleted; it is another key's revision."""
        error = self.failureResultOf(self.kv.get("a"), KeyNotFoundError).value
        self.assertEqual((error.bucket, error.key, error.revision), ("calls", "a", None))
        self.result(self.kv.put("a", b"1"))
        self.result(self.kv.delete("a"))
        self.assertEqual(self.failureResultOf(self.kv.get("a"), KeyNotFoundError).value.revision, 2)
        self.failureResultOf(self.kv.get("b", 2), KeyNotFoundError)
        self.failureResultOf(self.kv.get("a", 9), KeyNotFoundError)

    def test_revisions(self) -> None:
        """The history is kept as far as the bucket says; deleting keeps it, purging does not."""
        self.bucket.configure(BucketConfig(history=2))
        for number in range(3):
            self.result(self.kv.put("a", str(number)))
        self.assertEqual(self.result(self.kv.get("a", 2)).text(), "1")
        self.failureResultOf(self.kv.get("a", 1), KeyNotFoundError)
        self.assertEqual(self.result(self.kv.delete("a")), 4)
        self.assertEqual(self.result(self.kv.get("a", 3)).text(), "2")
        self.assertEqual(self.result(self.kv.purge("a")), 5)
        self.failureResultOf(self.kv.get("a", 3), KeyNotFoundError)
        self.assertEqual(self.result(self.kv.status()).values, 1)

    def test_create(self) -> None:
        """Only if there is no value; one that was deleted is none."""
        self.assertEqual(self.result(self.kv.create("a", b"1")), 1)
        error = self.failureResultOf(self.kv.create("a", b"2"), KeyExistsError).value
        self.assertEqual((error.key, error.revision), ("a", 1))
        self.result(self.kv.delete("a"))
        self.assertEqual(self.result(self.kv.create("a", b"3")), 3)
        self.result(self.kv.purge("a"))
        self.assertEqual(self.result(self.kv.create("a", b"4")), 5)

    def test_update(self) -> None:
        self.assertEqual(self.result(self.kv.update("a", b"1", 0)), 1)
        self.assertEqual(self.result(self.kv.update("a", b"2", 1)), 2)
        self.failureResultOf(self.kv.update("a", b"3", 1), WrongLastSequenceError)
        self.failureResultOf(self.kv.delete("a", 1), WrongLastSequenceError)
        self.failureResultOf(self.kv.purge("a", 1), WrongLastSequenceError)
        self.assertEqual(self.result(self.kv.delete("a", 2)), 3)

    def test_ttl(self) -> None:
        """A value with a TTL goes, and no older one comes back."""
        self.bucket.configure(BucketConfig(history=5))
        self.result(self.kv.put("a", b"old"))
        self.result(self.kv.put("a", b"new", ttl=1.5))
        self.assertEqual(self.result(self.kv.get("a")).ttl, 1.5)
        self.clock.advance(1.5)
        self.failureResultOf(self.kv.get("a"), KeyNotFoundError)
        self.result(self.kv.create("a", b"again", ttl=2))
        self.result(self.kv.update("a", b"and again", 3, ttl=2))
        self.result(self.kv.purge("a", ttl=3))
        self.assertEqual(self.result(self.kv.status()).values, 1)
        self.clock.advance(3)
        self.assertEqual(self.result(self.kv.status()).values, 0)

    def test_bad_input(self) -> None:
        """Nothing is sent."""
        for call in (self.kv.get, lambda key: self.kv.put(key, b""), self.kv.delete, self.kv.purge):
            self.failureResultOf(call("a b"), SubjectError)
        self.failureResultOf(self.kv.create("a b", b""), SubjectError)
        self.failureResultOf(self.kv.put("a", object()), PayloadError)
        self.failureResultOf(self.kv.put("a", b"", ttl=0.5), BucketConfigError)
        for revision in (-1, "1", True):
            self.failureResultOf(self.kv.update("a", b"", revision), BucketConfigError)  # type: ignore[arg-type]
        self.assertEqual(self.result(self.kv.status()).values, 0)

    def test_a_value_is_fixed_by_the_call(self) -> None:
        value = {"n": 1}
        self.kv.put("a", value)
        value["n"] = 2
        self.assertEqual(self.result(self.kv.get("a")).json(), {"n": 1})

    def test_open(self) -> None:
        self.result(self.kv.open())
        self.assertEqual(repr(self.kv), "<KeyValue calls>")
