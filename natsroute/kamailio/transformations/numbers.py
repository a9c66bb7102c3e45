"""
``{val.…}`` and ``{num.…}``: values that may be null, and digits of numbers.

Kamailio 5.6 has neither; these are as in 6.1.
"""

from __future__ import annotations

import re

from natsroute.kamailio.transformations.definitions import Builder, Transformation, as_any
from natsroute.kamailio.values import CodedText, Value, text_of

_SPECIAL = re.compile(rb'["\\\x00-\x1f]')
_ESCAPES = {b'"': b'\\"', b"\\": b"\\\\", b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}


def null_as_zero(value: Value) -> Value:
    """0 for null, anything else as it is."""
    return 0 if value is None else value


def null_as_empty(value: Value) -> Value:
    """An empty string for null, anything else as it is."""
    return b"" if value is None else value


def json_escaped(value: Value) -> Value:
    """What may stand between the quotes of a JSON string; nothing for null."""
    if value is None:
        return b""
    if isinstance(value, int):
        return value
    return _escaped(text_of(value))


def json_quoted(value: Value) -> Value:
    """
    A JSON string with its quotes for text and null; an integer stays as it is.

    Kamailio adds quotes only to text that has something to escape, and to null; so does this.
    """
    if value is None:
        return b'""'
    if isinstance(value, int):
        return value
    escaped = _escaped(text_of(value))
    return value if escaped == value else b'"' + escaped + b'"'


def _escaped(value: bytes) -> bytes:
    return _SPECIAL.sub(lambda match: _ESCAPES.get(match[0]) or b"\\u%04x" % match[0][0], value)


def first_digit(value: Value) -> Value:
    """The first digit of a number; 0 for what has none."""
    return int(str(abs(_number(value)))[0])


def last_digit(value: Value) -> Value:
    """The last digit of a number, with its sign; 0 for what has none."""
    number = _number(value)
    return abs(number) % 10 * (-1 if number < 0 else 1)


def _number(value: Value) -> int:
    return value.number if isinstance(value, CodedText) else value if isinstance(value, int) else 0


VAL: dict[str, Builder] = {
    "n0": Transformation(null_as_zero, takes=as_any),
    "ne": Transformation(null_as_empty, takes=as_any),
    "json": Transformation(json_escaped, takes=as_any),
    "jsonqe": Transformation(json_quoted, takes=as_any),
}

NUM: dict[str, Builder] = {
    "fdigit": Transformation(first_digit, takes=as_any),
    "ldigit": Transformation(last_digit, takes=as_any),
}
