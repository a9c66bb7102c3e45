"""Iterators over hash tables: ``sht_iterator_start`` and its kin, ``$shtitkey`` and ``$shtitval``."""

from __future__ import annotations

from natsroute.errors import EvaluationError
from natsroute.kamailio.tables import TableStore


class TableIterator:
    """
    Walks over the entries that a table has when the walk begins. Entries that have been deleted since are skipped.

    As in Kamailio, it stands before the first entry until :meth:`next` is called, and again when the walk has ended.
    """

    def __init__(self, table: TableStore) -> None:
        self.table = table
        self._names: list[bytes] = []
        self._index: int | None = None

    @property
    def name(self) -> bytes | None:
        """The name of the entry that it stands at; None if there is none."""
        return None if self._index is None else self._names[self._index]

    @property
    def value(self) -> int | bytes | None:
        """The value of that entry."""
        return None if self._index is None else self.table.get(self._names[self._index])

    def next(self) -> bool:
        """Go to the next entry; False if there are no more."""
        if self._index is None:
            self._names = [name for name, _ in self.table.entries()]
            return self._go(0)
        return self._go(self._index + 1)

    def remove(self) -> bool:
        """
        Delete the entry that it stands at, and go to the next one.

        :return: False if there are no more.
        :raises EvaluationError: it stands at no entry.
        """
        self.table.delete(self.current())
        return self.next()

    def current(self) -> bytes:
        """
        The name of the entry that it stands at.

        :raises EvaluationError: it stands at no entry.
        """
        if self._index is None:
            raise EvaluationError("the iterator is not at an entry")
        return self._names[self._index]

    def _go(self, index: int) -> bool:
        while index < len(self._names):
            if self.table.get(self._names[index]) is not None:
                self._index = index
                return True
            index += 1
        self._index = None
        return False
