"""natsroute.daemon.consuming.key_value_consumer; tests.integration.test_key_value_routes has the same with a server"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.subscription import PendingLimits
from natsroute.daemon.consuming.key_value_consumer import KeyValueConsumer, KeyValueParts, KeyValueSource, NotWarned
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.jetstream.errors import BucketNotFoundError, JetStreamError
from tests.support.log_recorder import LogRecorder
from tests.test_shared_htable import RemoteBucket


class FakeConsumer:
    """An ordered consumer: what was called, and for which subjects."""

    def __init__(self, subjects: list[str]) -> None:
        self.subjects = subjects
        self.calls: list[str] = []
        self.received, self.pending, self.num_pending = 7, 2, 5
        self.pending_subjects = ["$KV.b.a", "$KV.b.c"]
        self.problem: Any = None

    def __getattr__(self, name: str) -> Any:
        return lambda: self.calls.append(name)


class KeyValueSourceTests(SynchronousTestCase):
    """What hands the changes to the routes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.bucket = RemoteBucket("b", self.clock)
        self.consumers: list[FakeConsumer] = []
        self.source = KeyValueSource(self.bucket, ("a.>", "c"), self.new_consumer, self.clock)

    def new_consumer(self, subjects: list[str]) -> Any:
        """Make an ordered consumer."""
        self.consumers.append(FakeConsumer(subjects))
        return self.consumers[-1]

    def test_before_the_start(self) -> None:
        source = self.source
        self.assertEqual((source.received, source.pending, source.pending_subjects, source.lag), (0, 0, [], None))
        self.assertEqual((source.problem, source.dropped), (None, 0))
        source.stop()

    def test_start_and_stop(self) -> None:
        """After a stop, the same consumer goes on. What was held before the start is held."""
        self.source.hold()
        self.source.start()
        (consumer,) = self.consumers
        self.assertEqual(consumer.subjects, ["$KV.b.a.>", "$KV.b.c"])
        self.source.release()
        self.source.hold()
        self.source.release()
        self.source.stop()
        self.source.start()
        self.assertEqual(consumer.calls, ["hold", "start", "release", "hold", "release", "stop", "start"])
        self.assertEqual(len(self.consumers), 1)
        source = self.source
        self.assertEqual((source.received, source.pending, len(source.pending_subjects), source.lag), (7, 2, 2, 5))

    def test_no_bucket(self) -> None:
        """It is looked for, and the log has one line."""
        log = LogRecorder(self)
        self.bucket.opening = [BucketNotFoundError("b")] * 3
        self.source.start()
        assert isinstance(self.source.problem, BucketNotFoundError)
        self.assertIsNone(self.source.problem.__traceback__, "its frames would be kept as long")
        self.clock.pump([0.5, 1.0])
        self.assertEqual(self.consumers, [])
        self.clock.pump([2.0])
        self.assertEqual((len(self.consumers), self.source.problem), (1, None))
        self.assertEqual(len(log.matching("The changes of bucket b cannot be read")), 1)

    def test_stopped_while_it_looks(self) -> None:
        self.bucket.opening = [BucketNotFoundError("b")]
        self.source.start()
        self.source.stop()
        self.clock.advance(60)
        self.assertEqual(self.consumers, [])


class Runner:
    """What runs the routes."""

    unrouted = 0
    route_counters: list[Any] = []

    def on_msg(self, event: Any) -> None:
        """Take a message."""


class Connection:
    """A connection, with what was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def status(self) -> Any:
        self.unclaimed = 0
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda: self.calls.append(name)


class KeyValueConsumerTests(SynchronousTestCase):
    """What the daemon has of it."""

    def consumer(self) -> KeyValueConsumer:
        """The consumer of a bucket, and what it reads from."""
        bucket = RemoteBucket("b", Clock())
        parts = KeyValueParts(bucket, None, Clock(), "_INBOX")  # type: ignore[arg-type]
        entry = KeyValueEntry.of("b", ["a"])
        connection: Any = Connection()
        consumer = parts.consumer(entry, connection, Runner(), PendingLimits(), lambda error: None)  # type: ignore
        self.reads = FakeConsumer([])
        consumer.changes._new_consumer = lambda subjects: self.reads  # type: ignore[assignment, return-value]
        return consumer

    def test_life(self) -> None:
        consumer = self.consumer()
        consumer.start()
        account = consumer.account()
        self.assertEqual((account.name, account.received, account.pending, account.lag), ("kv:b", 7, 2, 5))
        self.assertIsNone(consumer.problem)
        self.reads.problem = JetStreamError("gone")
        self.assertEqual(consumer.problem, "consumes nothing: gone")
        consumer.drain()
        consumer.close()
        connection: Any = consumer.connection
        self.assertEqual(connection.calls, ["drain", "stopService"])
        self.assertEqual(self.reads.calls, ["start", "stop", "stop"])

    def test_no_warning(self) -> None:
        """A change that no route is for is no fault."""
        log = LogRecorder(self)
        NotWarned().warn("kv:b", "$KV.b.x")
        self.assertEqual(log.lines(), [])
