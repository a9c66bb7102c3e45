"""The arguments of a script's calls, as functions ask for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.cfg.source import Position
from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.expressions import Expression, compile_expression, compile_format
from natsroute.kamailio.regular_expressions import BadExpressionError, Pattern, compile_regex
from natsroute.kamailio.script import syntax
from natsroute.kamailio.script.context import Place
from natsroute.kamailio.script.operands import Operand
from natsroute.kamailio.script.operators import to_text
from natsroute.kamailio.values import Value, parse_integer, text_of

_REMEDY = "docs/kamailio/variables.md and transformations.md list what there is"


class CompiledArgument:
    """
    An argument of a call: an :class:`~natsroute.kamailio.script.functions.definitions.Argument`.

    Only constants are expanded. Kamailio also expands what the value of a variable holds, so that a message could read
    variables.

    :param node: the argument in the script.
    :param operand: the same, compiled.
    :param place: where it is.
    """

    def __init__(self, node: syntax.Expression, operand: Operand, place: Place) -> None:
        self._node = node
        self._operand = operand
        self._place = place

    @property
    def position(self) -> Position:
        """Where it stands."""
        return self._place.position

    def constant(self) -> str | int:
        """See :meth:`Argument.constant`."""
        if not self._operand.is_constant:
            raise self._place.error("a constant is needed here", "Write a string or a number, without variables")
        value = self._operand.value
        return value if isinstance(value, int) else value.decode("utf-8", "surrogateescape")

    def text(self) -> Callable[[Evaluation], bytes]:
        """See :meth:`Argument.text`."""
        written = self._written()
        if written is None:
            return self._operand.text()
        try:
            return compile_format(written).evaluate
        except ExpressionError as error:
            remedy = f"A dollar sign is written '$$'. {_REMEDY}"
            raise self._place.error(f"in this string, {error.problem}", remedy) from None

    def number(self) -> Callable[[Evaluation], int]:
        """See :meth:`Argument.number`."""
        operand = self._operand
        if operand.kind is int:
            return operand.integer()
        written = self._written()
        if written is None:
            return _number_of(operand.get)
        if written.startswith("$"):
            return _number_of(self.variable().evaluate)
        number = parse_integer(written.encode("utf-8", "surrogateescape"))
        if number is None:
            raise self._place.error(f"{written!r} is not a number", "Write a number, or a variable such as $var(x)")
        known = number
        return lambda evaluation: known

    def value(self) -> Getter:
        """See :meth:`Argument.value`."""
        return self._operand.get if self._written() is None else self.text()

    def variable(self) -> Expression:
        """See :meth:`Argument.variable`."""
        text = self._node.text if isinstance(self._node, syntax.Variable) else self._written()
        if text is None:
            raise self._place.error("a variable is needed here", "Write one such as $var(x)")
        try:
            return compile_expression(text)
        except ExpressionError as error:
            raise self._place.error(error.problem, f"Write a variable such as $var(x). {_REMEDY}") from None

    def regex(self) -> Callable[[Evaluation], Pattern]:
        """See :meth:`Argument.regex`."""
        operand = self._operand
        if not operand.is_constant:
            text = operand.text()
            return lambda evaluation: _pattern(text(evaluation))
        try:
            pattern = compile_regex(to_text(operand.value), ignore_case=True)
        except BadExpressionError as error:
            raise self._place.error(f"bad regular expression: {error}", "Fix it") from None
        return lambda evaluation: pattern

    def _written(self) -> str | None:
        """The text of a string, without expansion; None if it is none."""
        if self._operand.is_constant and self._operand.kind is bytes:
            text: bytes = self._operand.value
            return text.decode("utf-8", "surrogateescape")
        return None


def _number_of(get: Callable[[Evaluation], Value]) -> Callable[[Evaluation], int]:
    """The number that a value is, or that its text consists of."""

    def number(evaluation: Evaluation) -> int:
        value = get(evaluation)
        if isinstance(value, int):
            return int(value)
        found = None if value is None else parse_integer(text_of(value))
        if found is None:
            raise EvaluationError("an argument is not a number")
        return found

    return number


@lru_cache(256)
def _pattern(text: bytes) -> Pattern:
    try:
        return compile_regex(text, ignore_case=True)
    except BadExpressionError as error:
        raise EvaluationError(f"bad regular expression: {error}") from None
