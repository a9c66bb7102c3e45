"""natsroute.kamailio.shared_tables"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.shared_tables import SharedTable
from natsroute.kamailio.tables import PURGE_INTERVAL, HashTable


class SharedTableTests(SynchronousTestCase):
    """Changes from both sides."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.changed: list[bytes] = []

    def table(self, expire: int = 0, initial: int | None = None, *, update_expire: bool = True) -> SharedTable:
        """A table that tells of its changes."""
        return SharedTable(
            self.changed.append, expire=expire, initial=initial, update_expire=update_expire, now=self.clock.seconds
        )

    def changes(self) -> list[bytes]:
        """The names that changed since the last call."""
        changed, self.changed[:] = list(self.changed), []
        return changed

    def test_changes_by_scripts(self) -> None:
        """Each is told of, if there is one."""
        table = self.table(expire=60)
        table.set(b"a", 1)
        table.set(b"b", b"x")
        table.add(b"a", 2)
        table.expire_in(b"b", 5)
        self.assertEqual(self.changes(), [b"a", b"b", b"a", b"b"])
        self.assertIsNone(table.add(b"b", 1))
        table.expire_in(b"c", 5)
        table.delete(b"c")
        self.assertEqual(self.changes(), [])
        table.delete(b"a")
        table.set(b"c", 1)
        table.clear()
        self.assertEqual((self.changes(), table.entries()), ([b"a", b"c", b"b", b"c"], []))

    def test_state(self) -> None:
        table = self.table(expire=60)
        table.set(b"a", 1)
        self.clock.advance(20)
        self.assertEqual((table.state(b"a"), table.state(b"b")), ((1, 40), None))
        table.expire_in(b"a", 0)
        self.assertEqual(table.state(b"a"), (1, 0))
        table.set(b"a", 2, 5)
        self.clock.advance(6)
        self.assertIsNone(table.state(b"a"))

    def test_changes_by_others(self) -> None:
        """Nobody is told of them."""
        table = self.table()
        table.put(b"a", b"x", None)
        table.put(b"b", 7, 1005.9)
        self.assertEqual((table.get(b"a"), table.get(b"b"), table.expires_in(b"b")), (b"x", 7, 5))
        self.assertEqual(table.names(), [b"a", b"b"])
        self.clock.advance(6)
        self.assertEqual((table.get(b"a"), table.get(b"b")), (b"x", None))
        table.put(b"b", 8, None)
        self.assertEqual(table.get(b"b"), 8)
        table.drop(b"a")
        table.drop(b"a")
        self.assertEqual((table.get(b"a"), self.changes()), (None, []))

    def test_an_end_that_others_gave(self) -> None:
        """It does not stay when the entry is set here, in a table whose entries do not expire."""
        table = self.table()
        table.put(b"a", 1, 1005.0)
        table.set(b"a", 2)
        self.assertEqual(table.state(b"a"), (2, 0))

    def test_expired_entries(self) -> None:
        """Nobody is told of them: they expire for all."""
        table = self.table(expire=1)
        table.set(b"a", 1)
        self.changes()
        self.clock.advance(PURGE_INTERVAL + 1)
        table.set(b"b", 1)
        self.assertEqual((self.changes(), table.names()), ([b"b"], [b"b"]))

    def test_definition(self) -> None:
        """A reload may change it."""
        table = self.table()
        table.set(b"a", 1)
        table.define_as(HashTable(expire=5, initial=3, update_expire=False))
        self.assertEqual((table.initial, table.get(b"a"), table.definition), (3, 1, (5, 3, False)))
