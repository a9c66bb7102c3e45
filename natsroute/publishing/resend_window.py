"""Messages that were confirmed a moment ago, in case their server is killed before it has passed them on."""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.publishing.batches import Batch, resendable


class ResendWindow:
    """
    Keeps confirmed messages for a moment.

    :param window: seconds.
    :param max_bytes: above this the oldest are forgotten. Most traffic stays below it, and at the highest rates a
        server passes messages on sooner, too.
    """

    def __init__(self, clock: IReactorTime, window: float, max_bytes: int) -> None:
        self._clock = clock
        self._window = window
        self._max_bytes = max_bytes
        self._confirmed: deque[tuple[float, Batch]] = deque()  # each batch, and when it was confirmed
        self._bytes = 0
        self._timer: IDelayedCall | None = None

    def add(self, batch: Batch) -> None:
        """Keep a batch that was just confirmed, without the messages that may not be sent again."""
        if not self._window:
            return
        data = resendable(batch).data
        if not data:
            return
        self._confirmed.append((self._clock.seconds(), Batch([], data, batch.since)))
        self._bytes += len(data)
        while self._bytes > self._max_bytes:
            self._forget_oldest()
        if self._timer is None:
            self._timer = self._clock.callLater(self._window, self._window_ended)

    def take(self) -> list[Batch]:
        """Remove and return the batches of the window, to be sent again."""
        confirmed = [batch for _, batch in self._confirmed]
        self.clear()
        return confirmed

    def clear(self) -> None:
        """Forget all batches."""
        self._confirmed.clear()
        self._bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _window_ended(self) -> None:
        # After a busy moment the reactor runs timers before it reads sockets. Let it find out first whether the
        # connection is lost.
        self._timer = self._clock.callLater(0, self._forget, self._clock.seconds())

    def _forget(self, now: float) -> None:
        self._timer = None
        while self._confirmed and self._confirmed[0][0] + self._window <= now:
            self._forget_oldest()
        if self._confirmed:
            left = self._confirmed[0][0] + self._window - self._clock.seconds()
            self._timer = self._clock.callLater(max(0.0, left), self._window_ended)

    def _forget_oldest(self) -> None:
        self._bytes -= len(self._confirmed.popleft()[1].data)
