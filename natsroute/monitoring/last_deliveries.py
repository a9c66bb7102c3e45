"""When each consumer received its last message, seen from its counter once a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Seconds between two looks at the counters.
INTERVAL = 1.0


class LastDeliveries(Service):
    """
    Looks at the counters of all consumers while it runs. Messages pay nothing for it.

    :param clock: the reactor.
    :param received: returns how many messages each consumer has received; always for the same consumers.
    """

    def __init__(self, clock: IReactorTime, received: Callable[[], Sequence[int]]) -> None:
        self._clock = clock
        self._received = received
        self._counts: tuple[int, ...] = ()
        self._last: list[float | None] = []
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._look_often()

    def stopService(self) -> None:
        """Leave nothing in the reactor."""
        super().stopService()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def idle(self) -> list[float | None]:
        """
        Seconds since the last message of each consumer, or None if there was none. They are up to :data:`INTERVAL`
        less than the truth, because a message counts from the look that saw it.
        """
        now = self._look()
        return [None if last is None else now - last for last in self._last]

    def _look_often(self) -> None:
        self._look()
        self._next = self._clock.callLater(INTERVAL, self._look_often)

    def _look(self) -> float:
        now, counts = self._clock.seconds(), tuple(self._received())
        before = [*self._counts, *[0] * (len(counts) - len(self._counts))]
        last = [*self._last, *[None] * (len(counts) - len(self._last))]
        self._last = [now if new != old else at for new, old, at in zip(counts, before, last)]
        self._counts = counts
        return now
