"""Hash tables whose entries can expire, as those of Kamailio's ``htable`` module."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Protocol

from natsroute.kamailio.regular_expressions import BadExpressionError, compile_regex
from natsroute.kamailio.values import parse_integer, text_of

#: Seconds between two searches for entries that have expired, as the ``timer_interval`` of ``htable``.
PURGE_INTERVAL = 20.0


class TableStore(Protocol):
    """What ``$sht`` and its kin need of a table. Names and strings are bytes."""

    @property
    def initial(self) -> int | None:
        """The value of entries that are not there."""

    def get(self, name: bytes) -> int | bytes | None:
        """The value of an entry, else the initial value of the table, else None."""

    def set(self, name: bytes, value: int | bytes, seconds: int = 0) -> None:
        """
        Set an entry.

        :param seconds: how long it lives, in a table whose entries expire; if it is not above 0, as long as the table
            says.
        """

    def delete(self, name: bytes) -> None:
        """Delete an entry, if it is there."""

    def clear(self) -> None:
        """Delete all entries."""

    def entries(self) -> list[tuple[bytes, int | bytes]]:
        """Names and values of all entries, as a copy. Some may have expired."""

    def add(self, name: bytes, amount: int) -> int | None:
        """Add to an entry; None if it is a string, or is not there and the table has no initial value."""

    def expires_in(self, name: bytes) -> int:
        """Seconds until an entry expires; 0 if it does not, or is not there."""

    def expire_in(self, name: bytes, seconds: int) -> None:
        """Let an entry expire then; never, if this is 0. Without effect in a table whose entries do not expire."""

    def count(self, condition: bytes, *, by_value: bool) -> int:
        """
        Count entries by name or by value.

        :param condition: ``~~`` and a regular expression, ``~%`` and an ending, ``%~`` and a beginning, ``==`` and a
            text, ``eq`` and an integer, or ``**`` for all; without any of these it is a regular expression.
        """


class HashTable:
    """
    A table in the memory of this process. It may be used in any thread: each KEMI script has one of its own.

    :param expire: seconds that an entry lives, or 0 for ever.
    :param initial: the integer that an entry has before it is set, or None.
    :param update_expire: setting an entry that is there begins its time anew.
    :param now: gives seconds, those of :meth:`expires_in`.
    """

    def __init__(
        self,
        *,
        expire: int = 0,
        initial: int | None = None,
        update_expire: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._expire = expire
        self._initial = initial
        self._update_expire = update_expire
        self._now = now
        self._values: dict[bytes, int | bytes] = {}
        self._ends: dict[bytes, int] = {}  # of entries that expire
        self._next_purge = now() + PURGE_INTERVAL
        self._changing = Lock()

    def __len__(self) -> int:
        return len(self._values)

    @property
    def definition(self) -> tuple[int, int | None, bool]:
        """The arguments that it was made with: ``expire``, ``initial`` and ``update_expire``."""
        return self._expire, self._initial, self._update_expire

    def is_defined_as(self, other: object) -> bool:
        """Whether another table was made with the same arguments."""
        return isinstance(other, HashTable) and self.definition == other.definition

    @property
    def initial(self) -> int | None:
        """See :attr:`TableStore.initial`."""
        return self._initial

    def get(self, name: bytes) -> int | bytes | None:
        """See :meth:`TableStore.get`."""
        value = self._values.get(name)
        return self._initial if value is None or self._has_expired(name) else value

    def set(self, name: bytes, value: int | bytes, seconds: int = 0) -> None:
        """See :meth:`TableStore.set`."""
        with self._changing:
            self._set(name, value, seconds)

    def _set(self, name: bytes, value: int | bytes, seconds: int = 0) -> None:
        if self._expire:
            if seconds > 0:
                self._ends[name] = int(self._now()) + seconds
            elif self._update_expire or name not in self._values or self._has_expired(name):
                self._ends[name] = int(self._now()) + self._expire
            self._purge()
        self._values[name] = value

    def delete(self, name: bytes) -> None:
        """See :meth:`TableStore.delete`."""
        self._forget(name)

    def clear(self) -> None:
        """See :meth:`TableStore.clear`."""
        self._values.clear()
        self._ends.clear()

    def entries(self) -> list[tuple[bytes, int | bytes]]:
        """See :meth:`TableStore.entries`."""
        return list(self._values.items())

    def add(self, name: bytes, amount: int) -> int | None:
        """See :meth:`TableStore.add`."""
        with self._changing:
            value = self.get(name)
            if value is None or isinstance(value, bytes):
                return None
            value += amount
            self._set(name, value)
            return value

    def expires_in(self, name: bytes) -> int:
        """See :meth:`TableStore.expires_in`."""
        end = self._ends.get(name)
        return 0 if end is None else end - int(self._now())

    def expire_in(self, name: bytes, seconds: int) -> None:
        """See :meth:`TableStore.expire_in`."""
        if self._expire and name in self._values:
            if seconds > 0:
                self._ends[name] = int(self._now()) + seconds
            else:
                self._ends.pop(name, None)

    def count(self, condition: bytes, *, by_value: bool) -> int:
        """See :meth:`TableStore.count`."""
        matches = _condition(condition)
        if matches is None:
            return 0
        if condition[:2] == b"**":
            return len(self._values)
        found = [value if by_value else name for name, value in self.entries()]
        return sum(1 for value in found if matches(value))

    def _has_expired(self, name: bytes) -> bool:
        end = self._ends.get(name)
        return end is not None and end < int(self._now())

    def _purge(self) -> None:
        now = self._now()
        if now < self._next_purge:
            return
        self._next_purge = now + PURGE_INTERVAL
        for name in [name for name, end in list(self._ends.items()) if end < int(now)]:
            self._forget(name)

    def _forget(self, name: bytes) -> None:
        self._values.pop(name, None)
        self._ends.pop(name, None)


def _condition(condition: bytes) -> Callable[[int | bytes], bool] | None:
    """What an entry must fulfil; None if nothing can."""
    operator, operand = condition[:2], condition[2:]
    if operator == b"**":
        return lambda value: True
    if operator in (b"~~", b"~%", b"%~", b"==", b"eq"):
        if not operand:
            return None
    else:
        operator, operand = b"~~", condition
    if operator == b"eq":
        number = parse_integer(operand)
        return lambda value: isinstance(value, int) and value == (number or 0)
    if operator == b"~%":
        return lambda value: isinstance(value, bytes) and value.endswith(operand)
    if operator == b"%~":
        return lambda value: isinstance(value, bytes) and value.startswith(operand)
    if operator == b"==":
        return lambda value: isinstance(value, bytes) and value == operand
    try:
        pattern = compile_regex(operand, ignore_case=True)
    except BadExpressionError:
        return None
    return lambda value: isinstance(value, bytes) and pattern.search(text_of(value)) is not None
