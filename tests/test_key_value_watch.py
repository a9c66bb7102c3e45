"""natsroute.jetstream.key_value.watch, with a bucket in memory; tests.integration has the same with a server"""

from __future__ import annotations

from datetime import datetime, timezone
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ConnectionLostError, SubjectError
from natsroute.jetstream.errors import KeyNotFoundError, NoApiAnswerError
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.jetstream.key_value.entry import Entry
from natsroute.jetstream.key_value.key_value import KeyValue
from natsroute.jetstream.key_value.memory import MemoryBucket
from natsroute.jetstream.key_value.watch import Watch, read_all


class WatchTests(SynchronousTestCase):
    """What a watch is given."""

    def setUp(self) -> None:
        bucket = MemoryBucket("b", Clock())
        bucket.configure(BucketConfig(history=5))
        self.kv = KeyValue(bucket)
        self.entries: list[Entry] = []
        for key, value in (("a.x", "1"), ("b", "2"), ("a.x", "3")):
            self.kv.put(key, value)
        self.kv.delete("b")

    def watch(self, *patterns: str, **options: Any) -> Watch:
        """A watch that keeps what it is given."""
        return self.kv.watch(self.entries.append, *patterns, **options)

    def seen(self) -> list[tuple[str, str, str]]:
        """What it was given since the last call."""
        seen = [(entry.key, entry.text(), entry.operation) for entry in self.entries]
        self.entries.clear()
        return seen

    def test_from_the_last_of_each_key(self) -> None:
        watch = self.watch()
        self.successResultOf(watch.caught_up())
        self.assertEqual([entry.delta for entry in self.entries], [1, 0])
        self.assertEqual(self.seen(), [("a.x", "3", "put"), ("b", "", "delete")])
        self.kv.put("c", "4")
        self.kv.purge("c")
        self.assertEqual(self.seen(), [("c", "4", "put"), ("c", "", "purge")])
        self.assertEqual(watch.revision, 6)
        watch.stop()
        self.kv.put("d", "5")
        self.assertEqual(self.seen(), [])

    def test_options(self) -> None:
        self.watch(history=True)
        self.assertEqual(len(self.seen()), 4)
        self.watch(ignore_deletes=True, meta_only=True)
        self.assertEqual(self.seen(), [("a.x", "", "put")])

    def test_updates_only(self) -> None:
        self.successResultOf(self.watch(updates_only=True).caught_up())
        self.assertEqual(self.seen(), [])
        self.kv.put("b", "4")
        self.assertEqual(self.seen(), [("b", "4", "put")])

    def test_patterns(self) -> None:
        self.watch("a.*", "c.>")
        self.kv.put("c.d.e", "4")
        self.kv.put("d", "5")
        self.assertEqual([key for key, _, _ in self.seen()], ["a.x", "c.d.e"])
        self.assertRaises(SubjectError, self.watch, "a.>.b")

    def test_one_after_the_other(self) -> None:
        """The next entry follows when the Deferred of the one before has fired, whatever with."""
        busy: list[Deferred[None]] = []

        def on_entry(entry: Entry) -> Deferred[None]:
            self.entries.append(entry)
            busy.append(Deferred())
            return busy[-1]

        watch = self.kv.watch(on_entry)
        self.assertEqual((len(self.seen()), watch.is_caught_up), (1, False))
        failing = busy.pop()
        failing.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((len(self.seen()), watch.is_caught_up), (1, False))
        caught_up = watch.caught_up()
        busy.pop().callback(None)
        self.successResultOf(caught_up)

    def test_an_exception(self) -> None:
        """It is logged, and the next entry follows."""

        def on_entry(entry: Entry) -> None:
            self.entries.append(entry)
            raise ZeroDivisionError

        self.successResultOf(self.kv.watch(on_entry).caught_up())
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), len(self.seen())), (2, 2))

    def test_nothing_comes(self) -> None:
        """Whoever reads everything gives up after a while."""
        clock = Clock()
        for problem in (None, ConnectionLostError("gone")):
            watch = Watch(self.entries.append)
            watch.problem = problem
            reading = Deferred.fromCoroutine(read_all(watch, clock))
            clock.pump([5.0, 1.0])
            watch.hand_over(Entry("b", "a", b"", 1, datetime.now(timezone.utc)))
            clock.pump([4.0])
            self.assertNoResult(reading)
            clock.pump([5.0])
            self.failureResultOf(reading, NoApiAnswerError if problem is None else ConnectionLostError)

    def test_stopped_before_it_has_caught_up(self) -> None:
        """Whoever waits is told. What cannot go on says why."""
        for end, expected in ((Watch.stop, CancelledError), (None, ConnectionLostError)):
            watch = Watch(self.entries.append)
            waiting = watch.caught_up()
            cancelled = watch.caught_up()
            cancelled.addErrback(lambda failure: failure.trap(CancelledError))
            cancelled.cancel()
            stops: list[str] = []
            watch.started(partial(stops.append, "stop"))
            if end is not None:
                end(watch)
            else:
                watch.failed(ConnectionLostError("gone"))
            watch.stop()
            self.failureResultOf(waiting, expected)
            self.failureResultOf(watch.caught_up(), expected)
            self.assertEqual((stops, watch.stopped), (["stop"], True))

    def test_stopped_before_it_has_started(self) -> None:
        watch = Watch(self.entries.append)
        watch.stop()
        stops: list[str] = []
        watch.started(lambda: stops.append("stop"))
        self.assertEqual(stops, ["stop"])

    def test_keys(self) -> None:
        self.kv.put("c", "")
        self.assertEqual(self.successResultOf(self.kv.keys()), ["a.x", "c"])
        self.assertEqual(self.successResultOf(self.kv.keys("a.>")), ["a.x"])
        self.assertEqual(self.successResultOf(self.kv.keys("x")), [])

    def test_history(self) -> None:
        history = self.successResultOf(self.kv.history("b"))
        self.assertEqual([(entry.text(), entry.operation) for entry in history], [("2", "put"), ("", "delete")])
        self.failureResultOf(self.kv.history("x"), KeyNotFoundError)
        self.failureResultOf(self.kv.history("a.*"), SubjectError)
