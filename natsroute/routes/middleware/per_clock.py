"""What a middleware remembers, for each clock by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from weakref import ref

from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")


class PerClock(dict[ref[IReactorTime], T]):
    """
    The state of a middleware, for each clock by itself.

    A middleware lives as long as the module that creates it. A test with a clock of its own must find nothing of the
    test before.

    The keys are weak references: ``states[ref(clock)]``. (A WeakKeyDictionary would cost more for each message.)

    :param new: returns the state for a clock that has none yet.
    """

    def __init__(self, new: Callable[[], T]) -> None:
        self._new = new

    def __missing__(self, clock: ref[IReactorTime]) -> T:
        for gone in [known for known in self if known() is None]:
            del self[gone]
        state = self[clock] = self._new()
        return state
