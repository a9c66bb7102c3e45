"""Compiled statements that the script waits for: coroutines, with the rules of ``statements`` and ``calls``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Setter
from natsroute.kamailio.script.context import Place, Run, ScriptExitError
from natsroute.kamailio.script.flow import (
    BREAK,
    EXIT,
    STOP,
    Outcome,
    Signal,
    WaitingStatement,
    after_assigned_call,
    after_route,
    nothing,
)
from natsroute.kamailio.script.functions.definitions import WaitingAction
from natsroute.kamailio.script.operands import Operand
from natsroute.kamailio.values import Value

#: A compiled statement, and whether it waits.
Step = tuple[Callable[[Run], Any], bool]


class Cases(Protocol):
    """See :class:`~natsroute.kamailio.script.switches.CaseFinder`."""

    @property
    def find(self) -> Callable[[Value], Step | None]:
        """What gives the case for a value, or None."""

    @property
    def default(self) -> Step | None:
        """What runs if there is no case for a value."""

    @property
    def of_integers(self) -> bool:
        """Whether it finds cases for integers."""


async def outcome_of(step: Step, run: Run) -> Outcome:
    """How a statement ends, whether it waits or not."""
    statement, waits = step
    outcome = statement(run)
    return (await outcome) if waits else outcome  # type: ignore[no-any-return]


def function(action: WaitingAction, place: Place) -> WaitingStatement:
    """A call of a function whose result may be a Deferred."""

    async def call(run: Run) -> Outcome:
        try:
            result = action(run)
            if isinstance(result, Deferred):
                waits = not result.called or result.paused
                result = await result
                if waits:
                    run.has_waited()
        except EvaluationError as error:
            place.failed(run, error)
            result = -1
        run.own.return_code = result
        return result if result else STOP

    return call


def route(find: Callable[[Run], Any], level: int, place: Place) -> WaitingStatement:
    """A call of a route."""

    async def call(run: Run) -> Outcome:
        try:
            target = find(run)
            if target is None:
                run.own.return_code = -1
                return -1
            run.enter(level, place)
        except EvaluationError as error:
            place.failed(run, error)
            return -1
        outcome = await outcome_of((target.run, target.waits), run)
        run.level -= level
        return after_route(run, outcome)

    return call


def embedded(step: Step) -> Callable[[Run], Any]:
    """A call or statements inside of an expression."""

    async def get(run: Run) -> int:
        run.own.return_code = 0
        outcome = await outcome_of(step, run)
        if isinstance(outcome, Signal):
            if outcome.kind is EXIT:
                raise ScriptExitError
            outcome = outcome.value
        return 1 if outcome > 0 else 0

    return get


def assign(set_value: Setter, operand: Operand, place: Place) -> WaitingStatement:
    """An assignment."""

    async def statement(run: Run) -> Outcome:
        try:
            set_value(run, await operand.wait(run))
        except EvaluationError as error:
            place.failed(run, error)
            return -1
        return 1

    return statement


def assign_outcome(set_value: Setter, step: Step, place: Place) -> WaitingStatement:
    """An assignment of what a call gives."""

    async def statement(run: Run) -> Outcome:
        run.own.return_code = 0
        return after_assigned_call(run, await outcome_of(step, run), set_value, place)

    return statement


def branch(branches: Sequence[tuple[Operand, Step]], otherwise: Step, place: Place) -> WaitingStatement:
    """``if``."""

    steps = [(condition.integer(), condition.waits, then) for condition, then in branches]

    async def statement(run: Run) -> Outcome:
        for get, waits, then in steps:
            try:
                value = get(run)
                is_true = ((await value) if waits else value) > 0
            except EvaluationError as error:
                place.failed(run, error)
                is_true = False
            if is_true:
                return await outcome_of(then, run)
        return await outcome_of(otherwise, run)

    return statement


def loop(condition: Operand, body: Step, max_loops: int, place: Place) -> WaitingStatement:
    """``while``."""

    get = condition.integer()

    async def statement(run: Run) -> Outcome:
        outcome: Outcome = 1
        turns = 0
        while True:
            try:
                value = get(run)
                if not ((await value) if condition.waits else value):
                    return outcome
            except EvaluationError as error:
                place.failed(run, error)
                return outcome
            turns += 1
            if turns > max_loops > 0:
                place.failed(run, EvaluationError(f"more than {max_loops} turns of a loop (max_while_loops)"))
                return -1
            run.step(place)
            outcome = await outcome_of(body, run)
            if isinstance(outcome, Signal):
                return outcome.value if outcome.kind is BREAK else outcome

    return statement


def switch(subject: Operand, cases: Cases, if_nothing: int, place: Place) -> WaitingStatement:
    """``switch``."""
    default = cases.default
    get = subject.integer() if cases.of_integers else subject.get

    async def statement(run: Run) -> Outcome:
        outcome: Outcome = if_nothing
        try:
            value = get(run)
            case = cases.find((await value) if subject.waits else value) or default
        except EvaluationError as error:
            place.failed(run, error)
            outcome, case = -1, default
        if case is not None and case[0] is not nothing:
            outcome = await outcome_of(case, run)
        return outcome.value if isinstance(outcome, Signal) and outcome.kind is BREAK else outcome

    return statement


def leave(kind: str, operand: Operand, place: Place, otherwise: int) -> WaitingStatement:
    """``return`` and ``exit`` with a value."""

    get = operand.integer()

    async def statement(run: Run) -> Outcome:
        try:
            value = await get(run)
        except EvaluationError as error:
            place.failed(run, error)
            value = otherwise
        return Signal(kind, value) if value or kind is EXIT else STOP

    return statement
