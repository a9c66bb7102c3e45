"""natsroute.kamailio.table_iterators"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.table_iterators import TableIterator
from natsroute.kamailio.tables import HashTable


class TableIteratorTests(SynchronousTestCase):
    """Walks over a table that changes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.table = HashTable(expire=10, now=self.clock.seconds)
        for name in (b"a", b"b", b"c"):
            self.table.set(name, name.upper())
        self.iterator = TableIterator(self.table)

    def walk(self) -> list[bytes | None]:
        found = []
        while self.iterator.next():
            found.append(self.iterator.name)
        return found

    def test_walk(self) -> None:
        """As often as wanted, with what is there then."""
        self.assertEqual(self.walk(), [b"a", b"b", b"c"])
        self.table.set(b"d", 1)
        self.assertEqual(self.walk(), [b"a", b"b", b"c", b"d"])
        self.table.clear()
        self.assertEqual(self.walk(), [])

    def test_changes(self) -> None:
        """What is deleted or has expired is skipped, what is added is not seen."""
        self.assertTrue(self.iterator.next())
        self.assertEqual((self.iterator.name, self.iterator.value), (b"a", b"A"))
        self.table.delete(b"b")
        self.table.set(b"d", 1)
        self.assertEqual(self.walk(), [b"c"])
        self.assertEqual(self.walk(), [b"a", b"c", b"d"])
        self.iterator.next()
        self.clock.advance(11)
        self.assertEqual(self.walk(), [])

    def test_current(self) -> None:
        """Before the first and behind the last there is none."""
        for _ in range(2):
            self.assertEqual((self.iterator.name, self.iterator.value), (None, None))
            self.assertRaises(EvaluationError, self.iterator.current)
            self.assertRaises(EvaluationError, self.iterator.remove)
            self.walk()

    def test_remove(self) -> None:
        """One after the other."""
        self.iterator.next()
        self.assertEqual([self.iterator.remove() for _ in range(3)], [True, True, False])
        self.assertEqual(len(self.table), 0)
