"""Callers that wait until all messages that were published before their call are confirmed or have failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from natsroute.publishing.batches import Batch, Messages


class Flushes:
    """
    The flushes of a worker that have not ended.

    :ivar waiters: their Deferreds, each with the time of the call.

    :param find_held: gives all messages that are neither confirmed nor failed.
    """

    def __init__(self, clock: IReactorTime, find_held: Callable[[], Iterator[Messages | Batch]]) -> None:
        self._clock = clock
        self._find_held = find_held
        self.waiters: deque[tuple[float, Deferred[None]]] = deque()

    def add(self) -> Deferred[None]:
        """A new one. It waits for the messages that were published so far."""
        flushed: Deferred[None] = Deferred()
        self.waiters.append((self._clock.seconds(), flushed))
        return flushed

    def take_ended(self) -> list[Callable[[], None]]:
        """Remove those whose messages are confirmed or have failed; gives what fires them, the oldest first."""
        waiters = self.waiters
        ended: list[Callable[[], None]] = []
        # Mostly the oldest message that is held was published before the oldest flush.
        if not waiters or any(held.since <= waiters[0][0] for held in self._find_held() if held.confirmations):
            return ended
        oldest = min((held.since for held in self._find_held() if held.confirmations), default=float("inf"))
        while waiters and waiters[0][0] < oldest:
            ended.append(partial(waiters.popleft()[1].callback, None))
        return ended
