"""How long a loop over a backlog may hold the reactor before other things have their turn."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Seconds. A loop that takes longer continues in the next turn of the reactor.
MAX_TURN = 0.005


class Turn:
    """
    Tells a loop when to end its turn. The turn begins when it asks for the first time, after its first step: most loops
    have only one, and do not need the time.

    :param clock: the reactor.
    """

    __slots__ = ("_clock", "_ends")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ends: float | None = None

    def is_over(self) -> bool:
        """Whether the loop has to continue in the next turn of the reactor."""
        now = self._clock.seconds()
        if self._ends is None:
            self._ends = now + MAX_TURN
        return now >= self._ends


class SharedTurns:
    """
    Shares :data:`MAX_TURN` among several loops with a backlog each, so that a turn of the reactor does not take longer
    the more of them there are.

    :param clock: the reactor.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting = 0  # loops that continue in the next turn, or later in this one

    def share(self) -> float:
        """Seconds for a loop that begins or continues now. Each loop does at least one step."""
        return MAX_TURN / (1 + self._waiting)

    def next(self, function: Callable[[], object]) -> IDelayedCall:
        """Continue a loop in the next turn: call the function then. Do not cancel the call."""
        self._waiting += 1
        return self._clock.callLater(0, self._run, function)

    def _run(self, function: Callable[[], object]) -> None:
        self._waiting -= 1
        function()
