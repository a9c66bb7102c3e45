"""Calls of a script's functions, for the tests of these functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.cfg.source import Position
from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.expressions import Expression, compile_expression, compile_format
from natsroute.kamailio.regular_expressions import BadExpressionError, Pattern, compile_regex
from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.script.functions.definitions import WaitingAction
from natsroute.kamailio.values import number_of, parse_integer, text_of

POSITION = Position("kamailio.cfg", 7, 5)


class Quoted:
    """An argument of a call: a string in quotes, or a number. It may hold surrogate escapes."""

    def __init__(self, written: str | int) -> None:
        self.position = POSITION
        self._written = written

    def constant(self) -> str | int:
        return self._written

    def text(self) -> Callable[[Evaluation], bytes]:
        if isinstance(self._written, int):
            digits = b"%d" % self._written
            return lambda evaluation: digits
        try:
            return compile_format(self._written).evaluate
        except ExpressionError as error:
            raise self.position.error(str(error), "Fix it") from None

    def number(self) -> Callable[[Evaluation], int]:
        if isinstance(self._written, int):
            known = self._written
            return lambda evaluation: known
        if self._written.startswith("$"):
            expression = self.variable()
            return lambda evaluation: number_of(expression.evaluate(evaluation))
        parsed = parse_integer(self._written.encode())
        if parsed is None:
            raise self.position.error(f"{self._written!r} is not a number", "Write a number")
        number = parsed
        return lambda evaluation: number

    def value(self) -> Getter:
        if isinstance(self._written, int):
            known = self._written
            return lambda evaluation: known
        return self.text()

    def variable(self) -> Expression:
        try:
            return compile_expression(str(self._written))
        except ExpressionError as error:
            raise self.position.error(str(error), "Write a variable") from None

    def regex(self) -> Callable[[Evaluation], Pattern]:
        try:
            pattern = compile_regex(str(self._written).encode(), ignore_case=True)
        except BadExpressionError as error:
            raise self.position.error(str(error), "Fix it") from None
        return lambda evaluation: pattern


class Bare(Quoted):
    """A variable without quotes around it."""

    def constant(self) -> str | int:
        raise self.position.error("not a constant", "Write a constant")

    def text(self) -> Callable[[Evaluation], bytes]:
        get = self.variable().evaluate

        def text(evaluation: Evaluation) -> bytes:
            value = get(evaluation)
            return b"" if value is None else text_of(value)

        return text

    def value(self) -> Getter:
        return self.variable().evaluate


def compile_call(name: str, *written: str | int | Quoted) -> WaitingAction:
    """A call of a function; strings are in quotes."""
    definition = FUNCTIONS[name]
    assert definition.minimum <= len(written) <= definition.maximum, name
    return definition.build(*[one if isinstance(one, Quoted) else Quoted(one) for one in written])


def call(evaluation: Evaluation, name: str, *written: str | int | Quoted) -> int:
    """The result of a call that does not wait; a script takes an error for -1, too."""
    try:
        result = compile_call(name, *written)(evaluation)
    except EvaluationError:
        return -1
    assert not isinstance(result, Deferred), name
    return result


def start(evaluation: Evaluation, name: str, *written: Any) -> Deferred[int]:
    """A call that waits."""
    result = compile_call(name, *written)(evaluation)
    assert isinstance(result, Deferred), name
    return result
