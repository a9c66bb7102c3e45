"""
The expressions of ``#!ifexp``, ``#!defexp`` and ``#!defexps``: ``WITH_TLS && 6000000 <= KAMAILIO_VERSION``.

A name that is not defined is the number 0, one without a value is the number 1, and a value is a string, also if it
looks like a number. The left operand of a comparison or ``+`` decides whether strings or numbers are compared or added.
The other operators take numbers only.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from natsroute.kamailio.cfg.definitions import DefinitionError, Definitions

Value = float | str

#: Operators by precedence, those that bind loosest first. All are left-associative; ``**`` binds tightest.
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",), ("&&",), ("^",), ("|",), ("&",), ("<", "<=", ">", ">=", "==", "!="), ("<<", ">>"), ("+", "-"),
    ("*", "/", "%"),
)  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[0-9][0-9.]*)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<name>[A-Za-z_$@][A-Za-z0-9_$@#]*)|(?P<operator>\*\*|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%<>&|^!()]))""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_MAX_DEPTH = 50
_REMEDY = "Write names, numbers, strings in quotes, parentheses and the operators of C"


def holds(expression: str, definitions: Definitions) -> bool:
    """
    Whether the expression of an ``#!ifexp`` holds: it is not 0, and not an empty string.

    :raises DefinitionError: it is malformed, or an operator cannot have its operands. Kamailio logs that, and takes the
        expression for false.
    """
    return bool(_Expression(expression, definitions).evaluate())


def value_of(expression: str, definitions: Definitions) -> str:
    """
    The value that ``#!defexp`` gives a name: a string as it is, a number without its fraction.

    :raises DefinitionError: as :func:`holds`.
    """
    value = _Expression(expression, definitions).evaluate()
    return value if isinstance(value, str) else str(int(value))


class _Expression:
    def __init__(self, text: str, definitions: Definitions) -> None:
        self._text = text.strip()
        self._definitions = definitions
        self._tokens = self._split()
        self._next = 0
        self._depth = 0

    def evaluate(self) -> Value:
        value = self._binary(0)
        if self._peek():
            raise self._error(f"{self._peek()} is not expected there")
        return value

    def _split(self) -> list[str]:
        tokens: list[str] = []
        position = 0
        while position < len(self._text):
            if self._text[position:].lstrip().startswith("#"):  # the rest is a comment
                break
            found = _TOKEN.match(self._text, position)
            if found is None:
                raise self._error(f"{self._text[position:].strip()[:20]!r} cannot be read")
            tokens.append(found[0].strip())
            position = found.end()
        return tokens

    def _error(self, problem: str) -> DefinitionError:
        return DefinitionError(f"the expression {self._text[:100]!r}: {problem}", _REMEDY)

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _binary(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self._power()
        left = self._binary(level + 1)
        while self._peek() in _LEVELS[level]:
            left = self._apply(self._take(), left, self._binary(level + 1))
        return left

    def _power(self) -> Value:
        left = self._unary()
        if self._peek() != "**":
            return left
        self._take()
        return self._apply("**", left, self._nested(self._power))

    def _nested(self, parse: Callable[[], Value]) -> Value:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error("it is nested too deeply")
        value = parse()
        self._depth -= 1
        return value

    def _unary(self) -> Value:
        token = self._peek()
        if token in ("-", "!", "^"):
            self._take()
            number = self._number(self._nested(self._unary), token)
            return -number if token == "-" else float(not number) if token == "!" else float(~_int32(number))
        return self._operand()

    def _operand(self) -> Value:
        token = self._take()
        if token == "(":
            value = self._nested(lambda: self._binary(0))
            if self._take() != ")":
                raise self._error("a parenthesis is not closed")
            return value
        if token[:1] in ('"', "'"):
            return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), token[1:-1], flags=re.DOTALL)
        if token[:1].isdigit():
            return self._parse_number(token)
        if not token or not (token[0].isalpha() or token[0] in "_$@"):
            raise self._error(f"{token} is not expected there" if token else "it ends too early")
        return self._defined(token)

    def _defined(self, name: str) -> Value:
        value = self._definitions.get(name)
        if not value:
            return 0.0 if value is None else 1.0
        return value[1:-1] if len(value) > 1 and value[0] in "\"'" and value[0] == value[-1] else value

    def _parse_number(self, text: str) -> float:
        if _NUMBER.fullmatch(text) is None:  # it may come from a definition, and hold a password
            raise self._error("something that is not a number where one is needed")
        return float(text)

    def _number(self, value: Value, operation: str) -> float:
        if isinstance(value, str):
            raise self._error(f"{operation} takes numbers, and not strings")
        return value

    def _apply(self, operation: str, left: Value, right: Value) -> Value:
        if operation in ("&&", "||"):
            return float(bool(left and right) if operation == "&&" else bool(left or right))
        if operation in _COMPARE or operation == "+":
            return self._typed(operation, left, right)
        one, other = self._number(left, operation), self._number(right, operation)
        try:
            result = _arithmetic(operation, one, other)
        except (ArithmeticError, TypeError, ValueError):  # a TypeError for a complex number
            raise self._error(f"{one:g} {operation} {other:g} cannot be calculated") from None
        if not -1e30 < result < 1e30:
            raise self._error(f"{one:g} {operation} {other:g} is out of range")
        return result

    def _typed(self, operation: str, left: Value, right: Value) -> Value:
        """What works for strings and for numbers; the left operand decides."""
        one: Value = left
        if isinstance(left, str):
            other: Value = right if isinstance(right, str) else _shown(right)
        else:
            other = self._parse_number(right) if isinstance(right, str) else right
        if operation == "+":
            return one + other  # type: ignore[operator]
        if isinstance(one, str) and isinstance(other, str):
            return float(_COMPARE[operation](_bytes(one), _bytes(other)))
        return float(_COMPARE[operation](one, other))


def _arithmetic(operation: str, one: float, other: float) -> float:
    if operation == "**":
        return float(one**other)
    if operation == "/":
        return one / other
    if operation == "%":
        return one - other * int(one / other)
    if operation in ("-", "*"):
        return one - other if operation == "-" else one * other
    left, right = _int32(one), _int32(other)
    if operation in ("<<", ">>"):
        right &= 31
        return float(_int32(left << right) if operation == "<<" else left >> right)
    return float({"&": left & right, "|": left | right, "^": left ^ right}[operation])


def _int32(number: float) -> int:
    return (int(number) + 2**31) % 2**32 - 2**31


def _shown(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:.4g}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
