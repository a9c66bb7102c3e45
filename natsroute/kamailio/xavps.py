"""
``$xavp``: values in lists, each list under a name, the newest first; a value can itself be such a list.

``$xavp(a)`` is the newest value of ``a``, ``$xavp(a[1])`` the one before it, and ``$xavp(a=>b)`` the field ``b`` of the
newest list ``a``. Assigning to ``$xavp(a=>b)`` makes a new list ``a``; a field is added to the one that is there by
assigning to ``$xavp(a[0]=>b)``.
"""

from __future__ import annotations

from typing import Union

#: What is stored under a name.
XavpValue = Union[int, bytes, "Fields"]


class Fields:
    """Named values, the newest first."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[bytes, XavpValue]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> list[tuple[bytes, XavpValue]]:
        """Names and values, the newest first."""
        return list(self._entries)

    def all(self, name: bytes) -> list[XavpValue]:
        """The values of a name, the newest first."""
        return [value for entry, value in self._entries if entry == name]

    def get(self, name: bytes, index: int = 0) -> XavpValue | None:
        """
        One value of a name, or None.

        :param index: 0 is the newest, -1 the oldest.
        """
        found = self.all(name)
        try:
            return found[index]
        except IndexError:
            return None

    def add(self, name: bytes, value: XavpValue) -> None:
        """Add a value, as the newest."""
        self._entries.insert(0, (name, value))

    def append(self, name: bytes, value: XavpValue) -> None:
        """Add a value, as the oldest of its name."""
        self._entries.append((name, value))

    def replace(self, name: bytes, index: int, value: XavpValue) -> bool:
        """Replace one value; False if it is not there."""
        position = self._position(name, index)
        if position is None:
            return False
        self._entries[position] = (name, value)
        return True

    def remove(self, name: bytes, index: int = 0) -> None:
        """Remove one value, if it is there."""
        position = self._position(name, index)
        if position is not None:
            del self._entries[position]

    def remove_all(self, name: bytes) -> None:
        """Remove all values of a name."""
        self._entries = [entry for entry in self._entries if entry[0] != name]

    def _position(self, name: bytes, index: int) -> int | None:
        positions = [position for position, entry in enumerate(self._entries) if entry[0] == name]
        return positions[index] if 0 <= index < len(positions) else None


class Xavps(Fields):
    """The values of ``$xavp`` of one event."""

    __slots__ = ()
