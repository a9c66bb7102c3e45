"""What was confirmed a moment ago, in case the server that confirmed it is killed before it has passed it on."""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IReactorTime

from natsroute.publishing.outgoing import Batch, is_kept, messages_of


class Settling:
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

    def add(self, batch: Batch) -> None:
        """A batch was confirmed; what may not be sent again is not kept."""
        if not batch.all_kept:
            batch = messages_of((one for one in batch if is_kept(one[0])), batch.since).as_batch()
        self._settled.append((self._clock.seconds(), batch.data))
        self._bytes += len(batch.data)
        self._forget()

    def take(self) -> list[bytes]:
        """The commands that were confirmed a moment ago; they are forgotten here."""
        self._forget()
        settled, self._settled = self._settled, deque()
        self._bytes = 0
        return [data for _, data in settled if data]

    def _forget(self) -> None:
        oldest = self._clock.seconds() - self._window
        while self._settled and (self._settled[0][0] <= oldest or self._bytes > self._most):
            self._bytes -= len(self._settled.popleft()[1])
