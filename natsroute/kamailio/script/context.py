"""What the parts of the compiler share: where things stand in the script, and what running scripts need."""

from __future__ import annotations

from natsroute.errors import EvaluationError, ScriptError, ScriptLimitError
from natsroute.kamailio.cfg.source import Position, SourceText
from natsroute.kamailio.evaluation import Evaluation, EventVariables
from natsroute.routes.event import Event

#: Turns of loops and calls of routes that a script makes before it looks at the clock. Most make no more.
_STEPS_BEFORE_CLOCK = 8

#: How many it makes between two looks at most.
_MAX_STEPS_WITHOUT_CLOCK = 64

#: How many blocks can run inside of each other, as ``max_recursive_level``.
MAX_LEVEL = 256


class ScriptExitError(Exception):
    """An ``exit`` inside of an expression. It ends the script, and is no error of the event."""


class Run(Evaluation):
    """
    One run of an event route.

    Nothing else runs meanwhile, unless the script waits. So its time is limited. It looks at the clock when the number
    of its turns of loops and calls of routes has doubled.

    :ivar level: how many blocks run inside of each other, up to the route that runs.
    """

    __slots__ = ("_between_looks", "_since", "_steps", "level")

    def __init__(self, event: Event, own: EventVariables) -> None:
        self.event = event  # without super(): this runs for each event
        self.own = own
        self.consumer = own.consumer
        self.level = 1
        self._since: float | None = None
        self._steps = _STEPS_BEFORE_CLOCK  # that are left until the next look

    def step(self, place: Place) -> None:
        """
        Count a turn of a loop or a call of a route.

        :param place: where it is.
        :raises ScriptLimitError: the script has run for longer than the setting ``script_timeout``.
        """
        self._steps -= 1
        if self._steps < 0:
            self._look_at_clock(place)

    def _look_at_clock(self, place: Place) -> None:
        service = self.consumer.service
        now = service.seconds()
        if self._since is None:
            self._since = now
            self._between_looks = 1
        elif now - self._since > service.script_timeout > 0:
            raise ScriptLimitError(
                f"{self.event.name} has kept the reactor for {now - self._since:.1f} s, and is at {place.position}. "
                f"Nothing else runs meanwhile: the setting script_timeout ends a script after "
                f"{service.script_timeout:g} s"
            )
        self._steps = self._between_looks - 1
        self._between_looks = min(2 * self._between_looks, _MAX_STEPS_WITHOUT_CLOCK)

    def has_waited(self) -> None:
        """Let the time of the script begin anew: other things have run meanwhile."""
        self._since = None
        self._steps = _STEPS_BEFORE_CLOCK

    def enter(self, level: int, place: Place) -> None:
        """
        Go into a route.

        :param level: how many blocks of the calling route are around the call. Take it off ``level`` again behind it.
        :param place: where the call is.
        :raises EvaluationError: too many blocks run inside of each other.
        :raises ScriptLimitError: as :meth:`step`.
        """
        self.step(place)
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
