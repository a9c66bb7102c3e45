"""How late the reactor is, and how long one of its turns takes: measured ten times a second."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.monitoring.histogram import Histogram

#: Seconds between two measurements.
INTERVAL = 0.1

# Measurements that a blocked reactor has missed, and that are made up for: of a minute and a half.
_MAX_MISSED = 1000


class ReactorTimes(Service):
    """
    Measures while it runs.

    :param clock: the reactor.

    :ivar lateness: how late the reactor was for a call that was due. While it is blocked it misses measurements; each
        of them counts as made when it was due, so ten counts are a second.
    :ivar turns: how long it took until everything else that was ready had had its turn.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.lateness = Histogram()
        self.turns = Histogram()
        self._clock = clock
        self._due = 0.0
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin to measure."""
        super().startService()
        self._wait()

    def stopService(self) -> None:
        """Leave nothing in the reactor."""
        super().stopService()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _wait(self) -> None:
        self._due = self._clock.seconds() + INTERVAL
        self._next = self._clock.callLater(INTERVAL, self._measure)

    def _measure(self) -> None:
        now = self._clock.seconds()
        late = now - self._due
        self.lateness.add(late)
        missed = min(int(late / INTERVAL), _MAX_MISSED)
        for number in range(1, missed + 1):
            self.lateness.add(late - number * INTERVAL)
        self._next = self._clock.callLater(0, self._end_turn, now)

    def _end_turn(self, began: float) -> None:
        self.turns.add(self._clock.seconds() - began)
        self._wait()
