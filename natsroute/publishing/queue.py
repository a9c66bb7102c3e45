"""The messages of a publish worker that are not written yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from natsroute.publishing.batches import MAX_BATCH, FailLater, Message, Messages, ServerLimits, sendable
from natsroute.publishing.buffer import Buffer


class Queue:
    """
    The messages that are gathered in this turn of the reactor, and those of earlier turns, which wait because the link
    is down or the pool is busy.

    None of the :class:`~natsroute.publishing.batches.Messages` has more than :data:`MAX_BATCH`.

    :ivar waiting: those of earlier turns, the oldest first.

    :param buffer: gathers the messages of this turn.
    :param max_age_difference: in seconds. Messages that are written together also expire together.
    """

    __slots__ = ("_buffer", "_max_age_difference", "waiting")

    def __init__(self, buffer: Buffer, max_age_difference: float) -> None:
        self._buffer = buffer
        self._max_age_difference = max_age_difference
        self.waiting: deque[Messages] = deque()

    def __iter__(self) -> Iterator[Messages]:
        """The oldest first."""
        yield from self.waiting
        yield self._buffer.gathered

    def gathered(self) -> Messages:
        """The messages of this turn, with space for one more."""
        if len(self._buffer.confirmations) >= MAX_BATCH:
            self.end_batch()
        return self._buffer.gathered

    def end_turn(self) -> None:
        """The turn is over: what was gathered waits now."""
        self._buffer.is_open = False
        self.end_batch()

    def end_batch(self) -> None:
        """Let what was gathered wait, and gather others."""
        gathered = self._buffer.gathered
        if gathered.confirmations:
            self._buffer.gather(Messages(gathered.since))
            gathered.drop_abandoned()
            if self.waiting and self.waiting[-1].may_take(gathered, self._max_age_difference):
                self.waiting[-1].extend(gathered)
            else:
                self.waiting.append(gathered)

    def limit(self, limits: ServerLimits, fail: FailLater) -> None:
        """Remove what the server does not take."""
        for position, messages in enumerate(self.waiting):
            self.waiting[position] = sendable(messages, limits, fail)
        self._buffer.gather(sendable(self._buffer.gathered, limits, fail))

    def take_unresendable(self) -> list[list[Message]]:
        """Remove and return the messages that may not be sent again."""
        return [messages.take_unresendable() for messages in self]

    def take_cancelled(self) -> Iterator[list[Message]]:
        """Remove and return the messages whose Deferreds were cancelled."""
        return (messages.take_cancelled() for messages in [*self])

    def take_old(self, is_old: Callable[[Messages], bool]) -> Iterator[Messages]:
        """Remove and return those of earlier turns that are too old."""
        while self.waiting and is_old(self.waiting[0]):
            yield self.waiting.popleft()

    def clear(self) -> None:
        """Forget all messages."""
        self.waiting.clear()
        self._buffer.gather(Messages())
