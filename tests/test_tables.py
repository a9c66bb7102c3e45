"""natsroute.kamailio.tables"""

from __future__ import annotations

import sys
import threading
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.tables import PURGE_INTERVAL, HashTable


class EntryTests(SynchronousTestCase):
    """Entries that live for ever."""

    def test_set_and_delete(self) -> None:
        """A value is there until it is deleted."""
        table = HashTable()
        table.set(b"a", 1)
        table.set(b"b", b"")
        self.assertEqual([table.get(b"a"), table.get(b"b"), table.get(b"c")], [1, b"", None])
        table.delete(b"a")
        table.delete(b"never there")
        self.assertEqual((table.get(b"a"), len(table)), (None, 1))

    def test_add(self) -> None:
        """To integers only; what is not there begins with the initial value."""
        table = HashTable()
        table.set(b"a", 1)
        table.set(b"b", b"text")
        self.assertEqual([table.add(b"a", 2), table.add(b"b", 1), table.add(b"c", 1)], [3, None, None])
        with_initial = HashTable(initial=10)
        self.assertEqual([with_initial.get(b"a"), with_initial.add(b"a", -1), with_initial.get(b"a")], [10, 9, 9])

    def test_add_in_threads(self) -> None:
        """No addition is lost: scripts in several threads may count in one table."""
        table = HashTable(initial=0)

        def add() -> None:
            for _ in range(2000):
                table.add(b"a", 1)
                table.count(b"**", by_value=True)

        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(table.get(b"a"), 8000)

    def test_entries(self) -> None:
        """A copy of all; clear() deletes them."""
        table = HashTable()
        table.set(b"a", 1)
        table.set(b"b", b"x")
        found = table.entries()
        table.clear()
        self.assertEqual((found, table.entries(), len(table)), ([(b"a", 1), (b"b", b"x")], [], 0))

    def test_own_time(self) -> None:
        """An entry may have a time of its own."""
        clock = Clock()
        table = HashTable(expire=10, now=clock.seconds, update_expire=False)
        table.set(b"a", 1)
        table.set(b"a", 2, 5)
        table.set(b"b", 1, -1)
        self.assertEqual([table.expires_in(name) for name in (b"a", b"b")], [5, 10])
        clock.advance(6)
        self.assertEqual([table.get(name) for name in (b"a", b"b")], [None, 1])
        table.clear()
        self.assertEqual(table.expires_in(b"b"), 0)
        forever = HashTable()
        forever.set(b"a", 1, 5)
        self.assertEqual(forever.expires_in(b"a"), 0)

    def test_never_expires(self) -> None:
        """Nothing can be said of its end."""
        table = HashTable()
        table.set(b"a", 1)
        table.expire_in(b"a", 5)
        self.assertEqual(table.expires_in(b"a"), 0)

    def test_count(self) -> None:
        """By name and by value, with each operator."""
        table = HashTable()
        for name, value in ((b"one", 1), (b"two", b"2"), (b"tower", b"One"), (b"", 1)):
            table.set(name, value)
        for condition, by_name, by_value in (
            (b"**", 4, 4),
            (b"~~^T", 2, 0),
            (b"o", 3, 1),
            (b"%~to", 1, 0),
            (b"~%e", 1, 1),
            (b"==One", 0, 1),
            (b"eq1", 0, 2),
            (b"eqx", 0, 0),
            (b"~~", 0, 0),
            (b"~~(", 0, 0),
        ):
            counts = table.count(condition, by_value=False), table.count(condition, by_value=True)
            self.assertEqual(counts, (by_name, by_value), condition)


class ExpiryTests(SynchronousTestCase):
    """Entries that expire."""

    def make(self, **how: Any) -> tuple[HashTable, Clock]:
        """A table whose entries live for 10 seconds."""
        clock = Clock()
        clock.advance(1000)
        return HashTable(expire=10, now=clock.seconds, **how), clock

    def test_expires(self) -> None:
        """An entry is there up to its last second."""
        table, clock = self.make(initial=7)
        table.set(b"a", 1)
        self.assertEqual(table.expires_in(b"a"), 10)
        clock.advance(10)
        self.assertEqual(table.get(b"a"), 1)
        clock.advance(1)
        self.assertEqual(table.get(b"a"), 7)

    def test_time_begins_anew(self) -> None:
        """With each setting, unless the table says otherwise."""
        for update, left in ((True, 10), (False, 4)):
            table, clock = self.make(update_expire=update)
            table.set(b"a", 1)
            clock.advance(6)
            table.set(b"a", 2)
            self.assertEqual(table.expires_in(b"a"), left)

    def test_expired_then_set(self) -> None:
        """What is set again after it has expired lives as long as a new one."""
        table, clock = self.make(update_expire=False)
        table.set(b"a", 1)
        clock.advance(11)
        table.set(b"a", 2)
        self.assertEqual((table.get(b"a"), table.expires_in(b"a")), (2, 10))

    def test_added_to_when_expired(self) -> None:
        """It begins with the initial value."""
        table, clock = self.make(initial=0)
        table.add(b"a", 5)
        clock.advance(11)
        self.assertEqual(table.add(b"a", 1), 1)

    def test_own_time(self) -> None:
        """An entry can be given another time, or none."""
        table, clock = self.make()
        for name in (b"long", b"for ever", b"normal"):
            table.set(name, 1)
        table.expire_in(b"long", 60)
        table.expire_in(b"for ever", 0)
        table.expire_in(b"not there", 60)
        self.assertEqual([table.expires_in(name) for name in (b"long", b"for ever", b"not there")], [60, 0, 0])
        clock.advance(50)
        self.assertEqual([table.get(name) for name in (b"long", b"for ever", b"normal")], [1, 1, None])

    def test_purged(self) -> None:
        """What has expired does not stay in memory."""
        table, clock = self.make()
        for number in range(100):
            table.set(b"%d" % number, 1)
        clock.advance(PURGE_INTERVAL + 1)
        table.set(b"new", 1)
        self.assertEqual(len(table), 1)


class DefinitionTests(SynchronousTestCase):
    """Whether two tables are the same table of two versions of a file."""

    def test_definitions(self) -> None:
        table = HashTable(expire=5, initial=1)
        table.set(b"x", 1)
        self.assertTrue(table.is_defined_as(HashTable(expire=5, initial=1)))
        for other in (HashTable(), HashTable(expire=5), HashTable(expire=5, initial=1, update_expire=False), object()):
            self.assertFalse(table.is_defined_as(other))
