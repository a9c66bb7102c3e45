"""
The operators of the script language, and how it converts values: those of Kamailio's ``rvalue.c``, but with integers of
64 bits, as Kamailio has since 5.7.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from natsroute.errors import EvaluationError
from natsroute.kamailio.regular_expressions import BadExpressionError, Pattern, compile_regex
from natsroute.kamailio.values import MAX_INTEGER, MIN_INTEGER, CodedText, Value, parse_integer, text_of

#: Bytes that a string can have which ``+`` makes: the private memory of a Kamailio process. A loop could fill all of
#: the memory otherwise.
MAX_TEXT = 8 * 2**20

_MASK = 2**64 - 1
_HEXADECIMAL = re.compile(rb"0[xX]([0-9a-fA-F]+)")

_REMEMBERED = 256


def wrap(number: int) -> int:
    """What is left of a number in 64 bits."""
    if MIN_INTEGER <= number <= MAX_INTEGER:
        return number
    number &= _MASK
    return number - 2**64 if number > MAX_INTEGER else number


def to_int(value: Value) -> int:
    """The number of a value: of a string its digits, or its hexadecimal digits behind ``0x``; 0 if it has none."""
    if value.__class__ is int:
        return value
    if value is None:
        return 0
    if isinstance(value, int):
        return int(value)
    if isinstance(value, CodedText):
        return value.number
    number = parse_integer(value)
    if number is not None:
        return number
    hexadecimal = _HEXADECIMAL.fullmatch(value)
    return 0 if hexadecimal is None else wrap(int(hexadecimal[1][-16:], 16))


def to_text(value: Value) -> bytes:
    """The text of a value; that of null is empty."""
    if value.__class__ is bytes:
        return value
    return b"" if value is None else text_of(value)


def join(left: bytes, right: bytes) -> bytes:
    """
    Two strings, one behind the other.

    :raises EvaluationError: they are longer than :data:`MAX_TEXT`.
    """
    if len(left) + len(right) > MAX_TEXT:
        raise EvaluationError(f"a string is longer than {MAX_TEXT} bytes")
    return left + right


def _divide(left: int, right: int) -> int:
    """Towards zero, as in C."""
    if right == 0:
        raise EvaluationError("division by zero")
    quotient = abs(left) // abs(right)
    return wrap(quotient if (left < 0) == (right < 0) else -quotient)


def _modulo(left: int, right: int) -> int:
    """With the sign of the left operand, as in C."""
    if right == 0:
        raise EvaluationError("division by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


#: Operators of two integers. The number of bits that a shift takes is what the processor takes of it.
INTEGER_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda left, right: wrap(left + right),
    "-": lambda left, right: wrap(left - right),
    "*": lambda left, right: wrap(left * right),
    "/": _divide,
    "mod": _modulo,
    "|": lambda left, right: left | right,
    "&": lambda left, right: left & right,
    "^": lambda left, right: left ^ right,
    "<<": lambda left, right: wrap(left << (right & 63)),
    ">>": lambda left, right: left >> (right & 63),
    "<": lambda left, right: 1 if left < right else 0,
    ">": lambda left, right: 1 if left > right else 0,
    "<=": lambda left, right: 1 if left <= right else 0,
    ">=": lambda left, right: 1 if left >= right else 0,
    "ieq": lambda left, right: 1 if left == right else 0,
    "ine": lambda left, right: 1 if left != right else 0,
}

#: Operators of one integer.
INTEGER_PREFIXES: dict[str, Callable[[int], int]] = {
    "-": lambda operand: wrap(-operand),
    "~": lambda operand: ~operand,
    "!": lambda operand: 0 if operand else 1,
}


def equal(left: bytes | None, right: Value) -> int:
    """
    ``==`` for values of which the left one is no integer. If it is null, the right one decides how they are compared.

    :return: 1 or 0.
    """
    if left is None and isinstance(right, int):
        return 0 if right else 1
    return 1 if to_text(left) == to_text(right) else 0


@lru_cache(_REMEMBERED)
def matcher(pattern: bytes) -> Pattern:
    """
    The regular expression behind ``=~``, which ignores case.

    :raises EvaluationError: it is not one.
    """
    try:
        return compile_regex(pattern, ignore_case=True, newline=False)
    except BadExpressionError as error:
        raise EvaluationError(f"bad regular expression: {error}") from None


def matches(left: Value, right: Value) -> int:
    """
    ``=~``, with a regular expression that is known only now.

    :raises EvaluationError: it is not one.
    """
    return 1 if matcher(to_text(right)).search(to_text(left)) else 0
