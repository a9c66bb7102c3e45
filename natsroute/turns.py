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


class BacklogLoop:
    """
    Works off a backlog one step at a time: in this turn of the reactor, and in later ones if that takes too long.

    The steps may run the user's code, which may add to the backlog, and call :meth:`run`. The loop that runs does that,
    too, so all steps are in order.

    :param clock: the reactor.
    :param step: does the next step if there is one. It returns whether there is a further one.
    """

    __slots__ = ("_clock", "_is_running", "_next_turn", "_step")

    def __init__(self, clock: IReactorTime, step: Callable[[], bool]) -> None:
        self._clock = clock
        self._step = step
        self._is_running = False
        self._next_turn: IDelayedCall | None = None

    def run(self) -> None:
        """Begin, unless the loop runs already, or the next turn continues it."""
        if self._is_running or self._next_turn is not None:
            return
        self._is_running = True
        turn = Turn(self._clock)
        try:
            while self._step():
                if turn.is_over():
                    self._next_turn = self._clock.callLater(0, self._continue)
                    return
        finally:
            self._is_running = False

    def run_later(self) -> None:
        """Begin in the next turn, unless the loop runs already."""
        if not self._is_running and self._next_turn is None:
            self._next_turn = self._clock.callLater(0, self._continue)

    def _continue(self) -> None:
        self._next_turn = None
        self.run()

    def finish(self) -> None:
        """Do all that is left now: there may be no further turn."""
        self.stop()
        was_running, self._is_running = self._is_running, True
        try:
            while self._step():
                pass
        finally:
            self._is_running = was_running

    def stop(self) -> None:
        """Do not continue in the next turn."""
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None


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
