"""Notifies several callables, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec

from natsroute.log import Logger

P = ParamSpec("P")


class Observers(Generic[P]):
    """Notifies each observer, in the order in which they were added. One that raises does not stop the others."""

    log = Logger()

    def __init__(self) -> None:
        self._observers: list[tuple[Callable[P, object]]] = []

    def add(self, observer: Callable[P, object]) -> Callable[[], None]:
        """
        Call an observer from now on. It is called for each time that it was added.

        :return: ends this; during a notification, from the next one on.
        """
        one = (observer,)
        self._observers.append(one)
        return lambda: self._remove(one)

    def _remove(self, one: tuple[Callable[P, object]]) -> None:
        self._observers = [other for other in self._observers if other is not one]

    def notify(self, *news: P.args, **named: P.kwargs) -> None:
        """Call each observer, one that is added meanwhile too. An exception is logged."""
        for (observer,) in self._observers:
            try:
                observer(*news, **named)
            except Exception:
                self.log.failure("An observer of the connection raised an exception")
