"""Runs something one time after the other, however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class OneAtATime(Generic[T]):
    """
    Begins a run when it is asked to. Who asks during a run gets the next one, all of them the same: what they ask for
    may be newer than what the run has read.

    :param run: begins a run; its Deferred fires at the end.
    :param on_idle: called when a run has ended, and no other one follows at once.

    :ivar is_running: whether a run has begun and not ended.
    """

    def __init__(self, run: Callable[[], Deferred[T]], on_idle: Callable[[], object] = lambda: None) -> None:
        self.is_running = False
        self._on_idle = on_idle
        self._run = run
        self._waiting: list[Deferred[T]] = []  # for the run that has begun
        self._next: list[Deferred[T]] = []  # for the one after it

    def ask(self) -> Deferred[T]:
        """
        Ask for a run.

        :return: fires or fails with what the run does. Cancelling it only ends the wait.
        """
        waiting: Deferred[T] = Deferred()
        if self.is_running:
            self._next.append(waiting)
        else:
            self._waiting.append(waiting)
            self._begin()
        return waiting

    def refuse_next(self, error: Exception) -> None:
        """Begin no further run: fail those that wait for one."""
        waiting, self._next = self._next, []
        for one in waiting:
            one.errback(error)

    def _begin(self) -> None:
        self.is_running = True
        self._run().addBoth(self._ended)

    def _ended(self, result: T | Failure) -> None:
        self.is_running = False
        waiting, self._waiting, self._next = self._waiting, self._next, []
        if self._waiting:
            self._begin()
        else:
            self._on_idle()
        for one in waiting:
            if isinstance(result, Failure):
                one.errback(result)
            else:
                one.callback(result)
