"""
Compiles the expressions of a script, with Kamailio's typing rules.

The type of an expression is known at the start if an operator decides it; that of a variable is known only for each
event. What cannot fit is an error at the start, as in Kamailio: ``5 - "a"``. So are the rules by which Kamailio
simplifies an expression with a constant in it, where they change its value: ``$var(x) == ""`` compares strings, even if
``$var(x)`` is a number, and ``$var(x) && 1`` is the number of ``$var(x)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.cfg.source import SourceText
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.expressions import Expression, compile_expression
from natsroute.kamailio.regular_expressions import BadExpressionError, compile_regex
from natsroute.kamailio.script import operands, syntax
from natsroute.kamailio.script.context import Place
from natsroute.kamailio.script.nodes import CHAINS
from natsroute.kamailio.script.operands import Operand
from natsroute.kamailio.script.operators import (
    INTEGER_OPERATORS,
    INTEGER_PREFIXES,
    matches,
    to_int,
    to_text,
)
from natsroute.kamailio.values import Value

_NULL = ("$null", "$(null)")
_COMPARES_EQUAL = {"==", "eq", "ieq"}
_COMPARES_DIFFERENT = {"!=", "ne", "ine"}

#: Variables that always have a value, so that nothing is to be caught.
_NEVER_FAILS = re.compile(r"\$(?:(?:var|vn|shv)\([^()$]+\)|natsData|rc|retcode|\?)")

_WORDS: dict[type, str] = {int: "an integer", bytes: "a string"}


class CompileCall(Protocol):
    """Compiles a call, or statements, inside of an expression."""

    def __call__(self, node: syntax.Call | syntax.RouteCall | syntax.Embedded) -> Operand: ...


class ExpressionCompiler:
    """
    Compiles the expressions of a block.

    :param source: the block.
    :param compile_call: compiles what runs inside of an expression. Its result is 1 or 0.
    """

    def __init__(self, source: SourceText, compile_call: CompileCall) -> None:
        self._source = source
        self._compile_call = compile_call

    def compile(self, node: syntax.Expression) -> Operand:
        """
        Compile an expression.

        :raises ScriptError: types do not fit, or it names something that does not exist.
        """
        operand = self._compile(node)
        if operand.is_constant and not operand.is_plain:
            try:
                return operands.constant(operand.value)
            except EvaluationError:  # as 1 / 0: it fails when it runs
                return attrs.evolve(operand, is_constant=False)
        return operand

    def variable(self, node: syntax.Variable) -> Expression:
        """
        Compile a variable.

        :raises ScriptError: it does not exist.
        """
        try:
            return compile_expression(node.text)
        except ExpressionError as error:
            place = Place(self._source, node.at + error.column - 1)
            raise place.error(
                error.problem, "docs/kamailio/variables.md and transformations.md list what there is"
            ) from None

    def _compile(self, node: syntax.Expression) -> Operand:
        if isinstance(node, syntax.Constant):
            return operands.constant(node.value)
        if isinstance(node, syntax.Variable):
            return Operand(_reporting(self.variable(node)), is_plain=True)
        if isinstance(node, syntax.Unary):
            return self._unary(node)
        if isinstance(node, syntax.Binary):
            return self._in_a_row(node) if node.operator in CHAINS else self._binary(node)
        if isinstance(node, syntax.Choice):
            return self._choice(node)
        return self._compile_call(node)

    def _mismatch(self, node: syntax.Expression, found: type, needed: type) -> Exception:
        problem = f"{_WORDS[found]} where {_WORDS[needed]} is needed"
        cast = "(int)" if needed is int else "(str)"
        return Place(self._source, node.at).error(problem, f"Change it, or write {cast} before it")

    def _of_kind(self, node: syntax.Expression, needed: type[int | bytes]) -> Operand:
        """An operand that is not known to be of another type."""
        operand = self.compile(node)
        if operand.kind is not None and operand.kind is not needed:
            raise self._mismatch(node, operand.kind, needed)
        return operand

    def _fits(self, left: Operand, right: Operand, node: syntax.Expression) -> None:
        """An integer on the left cannot have a string on the right; a string can have an integer."""
        if left.kind is int and right.kind is bytes:
            raise self._mismatch(node, bytes, int)

    def _unary(self, node: syntax.Unary) -> Operand:
        operator = node.operator
        if operator in INTEGER_PREFIXES:
            operand = self._of_kind(node.operand, int)
            return operands.on_integer(INTEGER_PREFIXES[operator], operand)
        if operator == "int":
            return operands.as_integer(self.compile(node.operand))
        if operator == "str":
            return operands.as_text(self.compile(node.operand))
        operand = self._of_kind(node.operand, bytes)
        if operator == "strlen":
            return operands.converted(lambda value: len(to_text(value)), int, operand)
        if operator == "strempty":
            return operands.converted(_is_empty, int, operand)
        return self._defined(node.operand, operand, 1)

    def _defined(self, node: syntax.Expression, operand: Operand, defined: int) -> Operand:
        """Whether it is not null. Only a variable can be; a call is not made to know that."""
        if not isinstance(node, syntax.Variable):
            return operands.constant(defined)
        return Operand(_is_defined(self.variable(node), defined), int)

    def _binary(self, node: syntax.Binary) -> Operand:
        operator = node.operator
        if operator in INTEGER_OPERATORS and operator not in ("ieq", "ine"):
            return self._arithmetic(node)
        if isinstance(node.right, syntax.Variable) and node.right.text in _NULL and operator != "=~":
            left = self._of_kind(node.left, bytes)
            return self._defined(node.left, left, 0 if operator in _COMPARES_EQUAL else 1)
        if operator in ("ieq", "ine"):
            left, right = self._of_kind(node.left, int), self._of_kind(node.right, int)
            return operands.on_integers(INTEGER_OPERATORS[operator], left, right)
        if operator == "=~":
            return self._match(node)
        return self._equality(node)

    def _equality(self, node: syntax.Binary) -> Operand:
        left, right = self.compile(node.left), self.compile(node.right)
        self._fits(left, right, node.right)
        as_texts = node.operator in ("eq", "ne") or left.kind is bytes
        if as_texts and left.kind is int:
            raise self._mismatch(node.left, int, bytes)
        if node.operator in ("==", "eq"):
            for one, other in ((left, right), (right, left)):
                if other.is_constant and other.kind is bytes and not other.value and not one.is_constant:
                    return operands.converted(_is_empty, int, one)
        if as_texts:
            found = operands.on_texts(_same, int, left, right)
        elif left.kind is int:
            found = operands.on_integers(INTEGER_OPERATORS["ieq"], left, right)
        elif right.is_constant and not left.waits:
            found = Operand(_equals_constant(left.get, right.value), int)
        else:
            found = operands.equality(left, right)
        return _negated(found) if node.operator in _COMPARES_DIFFERENT else found

    def _match(self, node: syntax.Binary) -> Operand:
        left = self._of_kind(node.left, bytes)
        right = self.compile(node.right)
        if not right.is_constant:
            return operands.on_values(matches, int, left, right)
        if right.kind is int:
            raise self._mismatch(node.right, int, bytes)
        try:
            pattern = compile_regex(right.value, ignore_case=True, newline=False)
        except BadExpressionError as error:
            problem = f"bad regular expression: {error}"
            raise Place(self._source, node.right.at).error(problem, "Fix it") from None
        search = pattern.search
        return operands.converted(lambda value: 0 if search(to_text(value)) is None else 1, int, left)

    def _arithmetic(self, node: syntax.Binary) -> Operand:
        left, right = self._of_kind(node.left, int), self._of_kind(node.right, int)
        for one, other, is_left in ((right, left, False), (left, right, True)):
            if one.is_constant and not other.is_constant:
                simple = _simplified(node.operator, one.value, other, is_left=is_left)
                if simple is not None:
                    return simple
        return operands.on_integers(INTEGER_OPERATORS[node.operator], left, right)

    def _in_a_row(self, node: syntax.Binary) -> Operand:
        """``+``, ``&&`` or ``||``, any number of them."""
        nodes: list[syntax.Expression] = []
        rest: syntax.Expression = node
        while isinstance(rest, syntax.Binary) and rest.operator == node.operator:
            nodes.append(rest.right)
            rest = rest.left
        nodes.append(rest)
        nodes.reverse()
        return self._sum(nodes) if node.operator == "+" else self._logical(node.operator, nodes)

    def _sum(self, nodes: list[syntax.Expression]) -> Operand:
        found = [self.compile(node) for node in nodes]
        for node, operand in zip(nodes[1:], found[1:]):
            self._fits(found[0], operand, node)
        return operands.sum_of(found)

    def _logical(self, operator: str, nodes: list[syntax.Expression]) -> Operand:
        """A constant that decides all, or nothing, is left out as in Kamailio."""
        row: list[Operand] = []
        for node in nodes:
            operand = self._of_kind(node, int)
            if row and (operand.is_constant or row[0].is_constant):
                left = _together(operator, row)
                simple: Operand | None = None
                if operand.is_constant and left.is_constant:
                    simple = operands.constant(_together(operator, [left, operand]).value)
                elif operand.is_constant:
                    simple = _simplified(operator, operand.value, left, is_left=False)
                elif len(row) == 1:
                    simple = _simplified(operator, left.value, operand, is_left=True)
                if simple is not None:
                    row = [simple]
                    continue
            row.append(operand)
        return _together(operator, row)

    def _choice(self, node: syntax.Choice) -> Operand:
        condition, then, otherwise = (self.compile(part) for part in (node.condition, node.then, node.otherwise))
        is_true = condition.integer()
        if condition.waits or then.waits or otherwise.waits:

            async def wait(evaluation: Evaluation) -> Value:
                number = is_true(evaluation)
                chosen = then if ((await number) if condition.waits else number) > 0 else otherwise
                return _known(await chosen.wait(evaluation))

            return Operand(wait, waits=True)
        get_then, get_otherwise = then.get, otherwise.get

        def choose(evaluation: Evaluation) -> Value:
            return _known(get_then(evaluation) if is_true(evaluation) > 0 else get_otherwise(evaluation))

        return Operand(choose)


def _reporting(expression: Expression) -> Callable[[Evaluation], Value]:
    """The value of a variable; null if it has none, which is reported."""
    return expression.evaluate if _NEVER_FAILS.fullmatch(expression.text) else expression.value


def _is_defined(expression: Expression, defined: int) -> Callable[[Evaluation], int]:
    evaluate = expression.evaluate

    def get(evaluation: Evaluation) -> int:
        try:
            return defined if evaluate(evaluation) is not None else 1 - defined
        except EvaluationError:
            return 1 - defined

    return get


def _is_empty(value: Value) -> int:
    return 0 if to_text(value) else 1


def _same(left: bytes, right: bytes) -> int:
    return 1 if left == right else 0


def _known(value: Value) -> int | bytes:
    return int(value) if isinstance(value, int) else to_text(value)


def _negated(operand: Operand) -> Operand:
    return operands.converted(lambda value: 0 if value else 1, int, operand)


def _equals_constant(get: Callable[[Evaluation], Value], constant: int | bytes) -> Callable[[Evaluation], int]:
    """``==`` with a constant on the right, which is what scripts do most."""
    number, text = to_int(constant), to_text(constant)
    if_null = 1 if (number == 0 if isinstance(constant, int) else not text) else 0

    def compare(evaluation: Evaluation) -> int:
        value = get(evaluation)
        if isinstance(value, bytes):
            return 1 if value == text else 0
        if value is None:
            return if_null
        return 1 if value == number else 0

    return compare


def _together(operator: str, row: list[Operand]) -> Operand:
    if len(row) == 1:
        return row[0]
    return operands.all_of(row) if operator == "and" else operands.any_of(row)


def _simplified(operator: str, constant: Any, operand: Operand, *, is_left: bool) -> Operand | None:
    """
    What Kamailio makes of an operator with the constant 0 or 1 on one side, if its value would be another otherwise.

    :param is_left: the constant is on the left.
    :return: None if it makes nothing else of it.
    """
    if constant == 0:
        if operator in ("*", "&", "and") or (operator in ("/", "mod") and is_left):
            return operands.constant(0)
        if operator == "or":
            return operands.as_integer(operand)
    if constant == 1:
        if operator == "and":
            return operands.as_integer(operand)
        if operator == "or":
            return operands.constant(1)
    return None
