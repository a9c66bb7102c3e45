"""From a function and its parameters to the closure of a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.expressions import Expression
from natsroute.kamailio.script.functions.definitions import Argument, FunctionDefinition, WaitingAction

#: Compiles an argument. The closure gives what the function is called with for an event.
Parameter = Callable[[Argument], Callable[[Evaluation], Any]]
#: A function: called with the evaluation and its arguments.
Function = Callable[..., "int | Deferred[int]"]


def text(argument: Argument) -> Callable[[Evaluation], bytes]:
    """A text, which may be empty."""
    return argument.text()


def filled(argument: Argument) -> Callable[[Evaluation], bytes]:
    """A text that is not empty."""
    get = argument.text()

    def not_empty(evaluation: Evaluation) -> bytes:
        found = get(evaluation)
        if not found:
            raise EvaluationError("an argument is empty")
        return found

    return not_empty


def number(argument: Argument) -> Callable[[Evaluation], int]:
    """An integer."""
    return argument.number()


def value(argument: Argument) -> Callable[[Evaluation], Any]:
    """A value, which may be null."""
    return argument.value()


def readable(argument: Argument) -> Callable[[Evaluation], Expression]:
    """A variable."""
    expression = argument.variable()
    return lambda evaluation: expression


def assignable(argument: Argument) -> Callable[[Evaluation], Expression]:
    """A variable that can be assigned to."""
    expression = argument.variable()
    if not expression.can_be_assigned:
        raise argument.position.error(f"{expression.text} cannot be assigned to", "Use a variable such as $var(x)")
    return lambda evaluation: expression


def constant(argument: Argument) -> Callable[[Evaluation], str | int]:
    """What is known at the start."""
    known = argument.constant()
    return lambda evaluation: known


def function(
    name: str, run: Function, *parameters: Parameter, optional: int = 0, waits: bool = False
) -> FunctionDefinition:
    """
    A function of the scripts.

    :param run: is called with the evaluation and the arguments, and returns the result, or a Deferred if it ``waits``.
        It raises :class:`~natsroute.errors.EvaluationError` where a function of Kamailio logs an error and returns -1.
    :param parameters: one for each argument.
    :param optional: how many of the last arguments may be left out.
    """

    def build(*arguments: Argument) -> WaitingAction:
        getters = [compile_argument(argument) for compile_argument, argument in zip(parameters, arguments)]
        return _bound(run, getters)

    return FunctionDefinition(name, build, len(parameters) - optional, len(parameters), waits)


def table(*functions: FunctionDefinition) -> dict[str, FunctionDefinition]:
    """The functions by their names."""
    return {one.name: one for one in functions}


def _bound(run: Function, getters: Sequence[Callable[[Evaluation], Any]]) -> WaitingAction:
    """The function with its arguments. Those with few of them are called often, and have closures of their own."""
    if not getters:
        return run
    if len(getters) == 1:
        (only,) = getters
        return lambda evaluation: run(evaluation, only(evaluation))
    if len(getters) == 2:
        first, second = getters
        return lambda evaluation: run(evaluation, first(evaluation), second(evaluation))
    return lambda evaluation: run(evaluation, *[get(evaluation) for get in getters])
