"""
How statements end. A compiled statement gives an integer, as each of Kamailio's actions does, and the script goes on.
Or it gives a :class:`Signal`, and the blocks around it end.

The integer of the last statement of a route is what ``$rc`` is after ``route(NAME)``, if there is no ``return``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Setter
from natsroute.kamailio.script.context import Place, Run


class Signal:
    """
    A ``break``, ``return``, ``exit`` or ``drop``.

    :ivar kind: :data:`BREAK`, :data:`RETURN` or :data:`EXIT`.
    :ivar value: the integer of the statement.
    """

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: int) -> None:
        self.kind = kind
        self.value = value


BREAK, RETURN, EXIT = "break", "return", "exit"

#: A function that gives 0 ends the script.
STOP = Signal(EXIT, 0)

#: How a statement ends.
Outcome = int | Signal
#: A compiled statement.
Statement = Callable[[Run], Outcome]
#: A compiled statement that the script waits for.
WaitingStatement = Callable[[Run], Coroutine[Any, Any, Outcome]]


def nothing(run: Run) -> int:
    """No statement."""
    return 1


def in_order(statements: list[Statement]) -> Statement:
    """A block of statements."""
    if not statements:
        return nothing
    if len(statements) == 1:
        return statements[0]
    if len(statements) == 2:
        first, second = statements

        def two(run: Run) -> Outcome:
            outcome = first(run)
            return outcome if outcome.__class__ is Signal else second(run)

        return two
    steps = tuple(statements)

    def block(run: Run) -> Outcome:
        outcome: Outcome = 1
        for statement in steps:
            outcome = statement(run)
            if outcome.__class__ is Signal:
                break
        return outcome

    return block


def in_order_waiting(statements: list[tuple[bool, Callable[[Run], Any]]]) -> WaitingStatement:
    """
    A block of statements, of which the script waits for some.

    :param statements: each with whether it waits.
    """
    steps = tuple(statements)

    async def block(run: Run) -> Outcome:
        outcome: Outcome = 1
        for waits, statement in steps:
            outcome = statement(run)
            if waits:
                outcome = await outcome  # type: ignore[misc]
            if outcome.__class__ is Signal:
                break
        return outcome

    return block


def after_route(run: Run, outcome: Outcome) -> Outcome:
    """What a call of a route comes to: it ends at a ``return`` or ``break``, and an ``exit`` goes on."""
    if isinstance(outcome, Signal):
        if outcome.kind is EXIT:
            return outcome
        outcome = outcome.value
    run.own.return_code = outcome
    return outcome


def after_assigned_call(run: Run, outcome: Outcome, set_value: Setter, place: Place) -> Outcome:
    """Assign what a call gives, as it is, also below 0. An ``exit`` in it goes on."""
    try:
        set_value(run, outcome.value if isinstance(outcome, Signal) else outcome)
    except EvaluationError as error:
        place.failed(run, error)
        return -1
    return outcome if isinstance(outcome, Signal) and outcome.kind is EXIT else 1
