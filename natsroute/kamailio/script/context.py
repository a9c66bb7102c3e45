"""What the parts of the compiler share: where things stand in the script, and what running scripts need."""

from __future__ import annotations

from natsroute.errors import EvaluationError, ScriptError, ScriptLimitError
from natsroute.kamailio.cfg.source import Position, SourceText
from natsroute.kamailio.evaluation import Evaluation, EventVariables
from natsroute.routes.event import Event

#: Turns of loops and calls of routes that a script can make for one event. Loops inside of loops, and routes that call
#: themselves twice, would hold the reactor for hours.
MAX_STEPS = 1_000_000

#: How many blocks can run inside of each other, as ``max_recursive_level``.
MAX_LEVEL = 256


class ScriptExitError(Exception):
    """An ``exit`` inside of an expression. It ends the script, and is no error of the event."""


class Run(Evaluation):
    """
    One run of an event route.

    :ivar level: how many blocks run inside of each other, up to the route that runs.
    :ivar steps: turns of loops and calls of routes that it can still make.
    """

    __slots__ = ("level", "steps")

    def __init__(self, event: Event, own: EventVariables) -> None:
        self.event = event  # without super(): this runs for each event
        self.own = own
        self.consumer = own.consumer
        self.level = 1
        self.steps = MAX_STEPS

    def step(self) -> None:
        """
        Count a turn of a loop or a call of a route.

        :raises ScriptLimitError: there were too many.
        """
        self.steps -= 1
        if self.steps < 0:
            raise ScriptLimitError(f"the script has made {MAX_STEPS} turns of loops and calls of routes for one event")

    def enter(self, level: int) -> None:
        """
        Go into a route.

        :param level: how many blocks of the calling route are around the call. Take it off ``level`` again behind it.
        :raises EvaluationError: too many blocks run inside of each other.
        :raises ScriptLimitError: there were too many calls.
        """
        self.step()
        if self.level + level > MAX_LEVEL:
            raise EvaluationError(f"more than {MAX_LEVEL} blocks run inside of each other")
        self.level += level


class Place:
    """
    A place in a block of a script, for errors at the start and for failures when it runs.

    :param source: the block.
    :param at: the index in the block.
    """

    __slots__ = ("_at", "_source", "_text")

    def __init__(self, source: SourceText, at: int) -> None:
        self._source = source
        self._at = at
        self._text: str | None = None

    @property
    def position(self) -> Position:
        """Where it is."""
        return self._source.position_at(self._at)

    def error(self, problem: str, remedy: str) -> ScriptError:
        """The exception for a problem here; see :meth:`Position.error`."""
        return self.position.error(problem, remedy)

    def failed(self, evaluation: Evaluation, error: EvaluationError) -> None:
        """Report that a statement here failed for an event."""
        if self._text is None:
            self._text = str(self.position)
        evaluation.consumer.service.on_statement_failure(self._text, error)
