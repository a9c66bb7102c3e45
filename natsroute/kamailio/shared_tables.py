"""Hash tables that several instances of natsroute share. What keeps them the same is elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from natsroute.kamailio.tables import HashTable


class SharedTable(HashTable):
    """
    A table in the memory of this process, with the same entries as those of other processes.

    A change by a script is seen by it at once, and :attr:`on_change` is told. What others have changed comes in by
    :meth:`put` and :meth:`drop`, of which nobody is told.

    :param on_change: called with the name of each entry that a script has changed, in the thread of the script, when
        the table has the change.
    """

    def __init__(
        self,
        on_change: Callable[[bytes], object],
        *,
        expire: int = 0,
        initial: int | None = None,
        update_expire: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(expire=expire, initial=initial, update_expire=update_expire, now=now)
        self._on_change = on_change

    # -- changes by scripts -----------------------------------------------------------------------------------------

    def set(self, name: bytes, value: int | bytes, seconds: int = 0) -> None:
        """See :meth:`TableStore.set`."""
        super().set(name, value, seconds)
        self._on_change(name)

    def delete(self, name: bytes) -> None:
        """See :meth:`TableStore.delete`."""
        if name in self._values:
            super().delete(name)
            self._on_change(name)

    def clear(self) -> None:
        """See :meth:`TableStore.clear`."""
        for name, _ in self.entries():
            self.delete(name)

    def add(self, name: bytes, amount: int) -> int | None:
        """See :meth:`TableStore.add`."""
        value = super().add(name, amount)
        if value is not None:
            self._on_change(name)
        return value

    def expire_in(self, name: bytes, seconds: int) -> None:
        """See :meth:`TableStore.expire_in`."""
        super().expire_in(name, seconds)
        if self._expire and name in self._values:
            self._on_change(name)

    # -- the other side ---------------------------------------------------------------------------------------------

    def define_as(self, other: HashTable) -> None:
        """Have the definition of another table from now on. The entries stay."""
        self._expire, self._initial, self._update_expire = other.definition

    def state(self, name: bytes) -> tuple[int | bytes, int] | None:
        """The value of an entry, and the seconds until it expires, or 0 if it does not; None if there is no entry."""
        with self._changing:
            value = self._values.get(name)
            if value is None or self._has_expired(name):
                return None
            end = self._ends.get(name)
            return value, 0 if end is None else max(1, end - int(self._now()))

    def put(self, name: bytes, value: int | bytes, end: float | None) -> None:
        """
        Others have set an entry.

        :param end: when it expires, in seconds since 1970; None: never.
        """
        with self._changing:
            self._values[name] = value
            if end is None:
                self._ends.pop(name, None)
            else:
                self._ends[name] = int(end)
                self._purge()

    def drop(self, name: bytes) -> None:
        """Others have deleted an entry, or it has expired."""
        with self._changing:
            self._forget(name)

    def names(self) -> list[bytes]:
        """The names of all entries. Some may have expired."""
        return list(self._values)

    def _set(self, name: bytes, value: int | bytes, seconds: int = 0) -> None:
        if not self._expire:
            self._ends.pop(name, None)  # others may let their entries expire
        super()._set(name, value, seconds)
