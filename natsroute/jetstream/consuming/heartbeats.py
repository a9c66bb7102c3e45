"""Notices that the server is silent although it should send heartbeats."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Heartbeats that may be missing in a row.
MAX_MISSED = 2
#: How often a heartbeat interval is divided, to see early that one is missing.
_TICKS = 2


class Heartbeats:
    """
    Watches for signs of life.

    :param interval: returns the seconds after which the server sends a heartbeat if there is nothing else to send.
    :param signs: returns a number that changes with everything that the server sends.
    :param on_tick: called regularly, with whether :data:`MAX_MISSED` heartbeats are missing; they count anew then.

    :ivar missed: how often that was so.
    """

    def __init__(
        self,
        clock: IReactorTime,
        interval: Callable[[], float],
        signs: Callable[[], int],
        on_tick: Callable[[bool], object],
    ) -> None:
        self.missed = 0
        self._clock = clock
        self._interval = interval
        self._signs = signs
        self._on_tick = on_tick
        self._before = 0
        self._silent = 0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Watch from now on."""
        self.stop()
        self.reset()
        self._schedule()

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reset(self) -> None:
        """Count from zero: the server could not send anything."""
        self._before = self._signs()
        self._silent = 0

    def _schedule(self) -> None:
        self._timer = self._clock.callLater(self._interval() / _TICKS, self._tick)

    def _tick(self) -> None:
        self._schedule()
        signs = self._signs()
        self._silent = self._silent + 1 if signs == self._before else 0
        self._before = signs
        # One more, since the last sign may have come right behind a tick.
        is_missing = self._silent > MAX_MISSED * _TICKS
        if is_missing:
            self.missed += 1
            self._silent = 0
        self._on_tick(is_missing)
