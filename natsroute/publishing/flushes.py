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

    :param find_held: gives all messages that are neither confirmed nor failed, the oldest first as a rule.
    :param is_in_order: whether that rule holds now.
    """

    def __init__(
        self,
        clock: IReactorTime,
        find_held: Callable[[], Iterator[Messages | Batch]],
        is_in_order: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._find_held = find_held
        self._is_in_order = is_in_order
        self._ended = -1  # messages that had ended at the last look
        self.waiters: deque[tuple[float, Deferred[None]]] = deque()

    def add(self) -> Deferred[None]:
        """A new one. It waits for the messages that were published so far."""
        flushed: Deferred[None] = Deferred()
        if not self.waiters:
            self._ended = -1
        self.waiters.append((self._clock.seconds(), flushed))
        return flushed

    def take_ended(self, ended: int) -> list[Callable[[], None]]:
        """
        Remove those whose messages are confirmed or have failed; gives what fires them, the oldest first.

        :param ended: messages that have ended so far. If it has not changed, no flush has ended.
        """
        waiters = self.waiters
        if not waiters or ended == self._ended:
            return []
        self._ended = ended
        oldest = float("inf")
        for held in self._find_held():
            if held.confirmations:
                oldest = min(oldest, held.since)
                # Mostly the oldest message that is held was published before the oldest flush.
                if oldest <= waiters[0][0] or self._is_in_order():
                    break
        fired: list[Callable[[], None]] = []
        while waiters and waiters[0][0] < oldest:
            fired.append(partial(waiters.popleft()[1].callback, None))
        return fired
