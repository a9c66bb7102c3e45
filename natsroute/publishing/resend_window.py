"""What was confirmed a moment ago, in case the server that confirmed it is killed before it has passed it on."""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.publishing.batches import Batch, is_kept, messages_of


class ResendWindow:
    """
    Keeps confirmed messages for a moment.

    :param window: seconds.
    :param most: bytes; above them the oldest are forgotten. In most traffic a moment does not reach that, and at top
        rates a server is quicker, too.
    """

    def __init__(self, clock: IReactorTime, window: float, most: int) -> None:
        self._clock = clock
        self._window = window
        self._most = most
        self._settled: deque[tuple[float, bytes]] = deque()  # when it was confirmed, and its commands
        self._bytes = 0
        self._timer: IDelayedCall | None = None

    def add(self, batch: Batch) -> None:
        """A batch was confirmed; what may not be sent again is not kept."""
        if not self._window:
            return
        if not batch.all_kept:
            batch = messages_of((one for one in batch if is_kept(one[0])), batch.since).as_batch()
        self._settled.append((self._clock.seconds(), batch.data))
        self._bytes += len(batch.data)
        while self._bytes > self._most:
            self._drop_oldest()
        if self._timer is None:
            self._timer = self._clock.callLater(self._window, self._time_is_over)

    def take(self) -> list[bytes]:
        """The commands that were confirmed a moment ago; they are forgotten here."""
        self.stop()
        settled, self._settled = self._settled, deque()
        self._bytes = 0
        return [data for _, data in settled if data]

    def stop(self) -> None:
        """Look at the clock no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_over(self) -> None:
        # If the reactor was busy, the news that the connection is lost may wait behind this call: it is let by first.
        self._timer = self._clock.callLater(0, self._forget, self._clock.seconds() - self._window)

    def _forget(self, last: float) -> None:
        self._timer = None
        while self._settled and self._settled[0][0] <= last:
            self._drop_oldest()
        if self._settled:
            left = self._settled[0][0] + self._window - self._clock.seconds()
            self._timer = self._clock.callLater(max(0.0, left), self._time_is_over)

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._settled.popleft()[1])
