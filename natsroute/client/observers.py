"""Notifies several callables, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from natsroute.log import Logger

T = TypeVar("T")


class Observers(Generic[T]):
    """Notifies each observer, in the order in which they were added. One that raises does not stop the others."""

    log = Logger()

    def __init__(self) -> None:
        self._observers: list[Callable[[T], object]] = []

    def add(self, observer: Callable[[T], object]) -> None:
        """Call an observer from now on. It is called for each time that it was added."""
        self._observers.append(observer)

    def notify(self, news: T) -> None:
        """Call each observer, one that is added meanwhile too. An exception is logged."""
        for observer in self._observers:
            try:
                observer(news)
            except Exception:
                self.log.failure("An observer of the connection raised an exception")
