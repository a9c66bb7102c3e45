"""natsroute.daemon.sending.shared_htables; tests.integration.test_shared_htables has the same with a server"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.daemon.sending.key_values import KeyValues
from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.daemon.sending.shared_htable import MARK_TTL
from natsroute.daemon.sending.shared_htables import SharedHtables
from natsroute.daemon.settings.htable_entry import HtableEntry
from natsroute.errors import RequestTimeoutError
from natsroute.jetstream.errors import BucketNotFoundError
from natsroute.kamailio.tables import HashTable
from tests.support.log_recorder import LogRecorder
from tests.test_shared_htable import RemoteBucket


class Connection:
    """A connection that is observed."""

    def __init__(self) -> None:
        self.observers: list[Any] = []

    def observe(self, observer: Any) -> None:
        self.observers.append(observer)

    def tell(self, event: ConnectionEvent) -> None:
        """Something has happened to it."""
        for observer in self.observers:
            observer(Change(event, None))


class SharedHtablesTests(SynchronousTestCase):
    """Two tables, one of them shared."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.bucket = RemoteBucket("b", self.clock)
        self.started: list[str] = []
        self.thread = ReactorThread(lambda function: function())
        self.thread.start()
        self.htables = self.new(HtableEntry("calls", "b"))
        self.table = self.htables.share(b"calls", HashTable())

    def new(self, *entries: HtableEntry) -> SharedHtables:
        """The htables of a service."""
        return SharedHtables(
            entries,
            KeyValues(lambda bucket: self.bucket),
            self.clock,
            self.thread,
            create=True,
            start=lambda: self.started.append("start"),
        )

    def test_share(self) -> None:
        """A table that is not shared is itself. One that is shared is the same after a reload."""
        own = HashTable()
        self.assertIs(self.htables.share(b"own", own), own)
        again = self.htables.share(b"calls", HashTable(initial=3))
        self.assertIs(again, self.table)
        self.assertEqual(self.table.initial, 3)

    def test_load_and_stop(self) -> None:
        self.successResultOf(self.htables.load())
        self.assertEqual(self.started, ["start"])
        self.table.set(b"a", 1)
        self.successResultOf(self.htables.stop(5.0))
        self.assertEqual(len(self.bucket.stored), 1)

    def test_nothing_to_share(self) -> None:
        """No connection is started."""
        none = self.new()
        self.successResultOf(none.load())
        self.successResultOf(none.stop(5.0))
        self.assertEqual((len(none), self.started), (0, []))

    def test_stop_without_a_server(self) -> None:
        """It waits for a while, and says what is lost."""
        log = LogRecorder(self)
        self.successResultOf(self.htables.load())
        self.bucket.errors = [RequestTimeoutError("x", 5, was_sent=False)] * 100
        self.table.set(b"a", 1)
        stopped = self.htables.stop(5.0)
        self.assertNoResult(stopped)
        self.clock.pump([0.5] * 10)
        self.successResultOf(stopped)
        self.assertEqual(len(log.matching("the last changes of 1 entries are not in its bucket")), 1)

    def test_connections(self) -> None:
        """One that is back: what waits is written. After a long absence the bucket is taken over once more."""
        writes, watches = Connection(), Connection()
        self.htables.observe(writes, watches)  # type: ignore[arg-type]
        self.successResultOf(self.htables.load())
        self.bucket.errors = [RequestTimeoutError("x", 5, was_sent=False)]
        self.table.set(b"a", 1)
        writes.tell(ConnectionEvent.CONNECTED)
        self.clock.advance(0)
        self.assertEqual(len(self.bucket.stored), 2)
        for seconds, opened in ((MARK_TTL / 2 - 1, 1), (MARK_TTL / 2, 2)):
            watches.tell(ConnectionEvent.DISCONNECTED)
            self.clock.advance(seconds)
            watches.tell(ConnectionEvent.CONNECTED)
            watches.tell(ConnectionEvent.CONNECTED)
            self.assertEqual(self.bucket.opened, opened)

    def test_problems(self) -> None:
        """While the table cannot be loaded. What cannot be written later is in the log only."""
        self.assertEqual([*self.htables.problems], [])
        self.bucket.opening = [BucketNotFoundError("b")]
        loading = self.htables.load()
        ((name, problem),) = self.htables.problems
        self.assertEqual(name, "htable calls=b")
        self.assertIn("cannot be loaded: there is no bucket 'b'", problem)
        self.clock.advance(1)
        self.successResultOf(loading)
        self.bucket.errors = [RequestTimeoutError("x", 5, was_sent=False)]
        self.table.set(b"a", 1)
        self.assertEqual([*self.htables.problems], [])
