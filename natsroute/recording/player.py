"""Plays a recording again: one message after the other, at the speed at which they were recorded, or at another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from natsroute.recording.format import Lost, Recorded
from natsroute.turns import Turn


class Player:
    """
    Hands the messages of a recording on.

    :param clock: the reactor.
    :param lines: the lines of the recording, each with its number.
    :param play: is called with each message and the number of its line. If it returns a Deferred, the next message
        follows when that has fired.
    :param speed: 1: the messages are as far apart as when they were recorded; 10: a tenth of that; None: each follows
        at once. A time that is before that of the message before it counts as the same.

    :ivar played: messages so far.
    :ivar lost: messages that the recording says it does not have.
    """

    def __init__(
        self,
        clock: Any,
        lines: Iterable[tuple[int, Recorded | Lost]],
        play: Callable[[int, Recorded], Deferred[None] | None],
        speed: float | None = None,
    ) -> None:
        self.played = self.lost = 0
        self._clock = clock
        self._lines = lines
        self._play = play
        self._speed = speed

    async def run(self) -> None:
        """
        Play everything. Cancelling it ends it between two messages.

        :raises RecordingError: a line is malformed. The messages before it were played.
        """
        began: float | None = None
        offset = last = 0.0  # seconds in the recording, since its first message
        turn = Turn(self._clock)
        for number, item in self._lines:
            if isinstance(item, Lost):
                self.lost += item.count
                continue
            if self._speed is not None:
                if began is None:
                    began, last = self._clock.seconds(), item.time
                offset += max(0.0, item.time - last)
                last = item.time
                wait = began + offset / self._speed - self._clock.seconds()
                if wait > 0:
                    await deferLater(self._clock, wait)
                    turn = Turn(self._clock)
            if turn.is_over():
                await deferLater(self._clock, 0)
                turn = Turn(self._clock)
            self.played += 1
            ended = self._play(number, item)
            if ended is not None:
                await ended
