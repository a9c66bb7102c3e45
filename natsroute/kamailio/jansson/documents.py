"""
JSON as the library jansson reads and prints it, which Kamailio's ``jansson`` module is built on.

It is stricter than json-c: a document is an object or an array, names are unique, and nothing follows it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

#: Objects and arrays inside each other, the outermost included. (jansson: 2048.)
MAX_DEPTH = 256

#: What jansson's integers are.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

_SPECIAL = re.compile(r'["\\\x00-\x1f]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")
_EXPONENT = re.compile(r"e\+?(-?)0*(?=[0-9])")


class NotJanssonError(ValueError):
    """Not a JSON document for jansson."""


def parse(data: bytes) -> Any:
    """
    Read a document: an object or an array, of dicts, lists, str, int, float, bool and None.

    :raises NotJanssonError: it is none.
    """
    try:
        document = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        raise NotJanssonError from None
    if type(document) is not dict and type(document) is not list:
        raise NotJanssonError
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(document) > MAX_DEPTH:
        raise NotJanssonError
    if b"\\u" in data:  # the only way to what is not a character
        _check_strings(document)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJanssonError
    return found


def _integer(text: str) -> int:
    number = int(text)
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise NotJanssonError
    return number


def _real(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotJanssonError
    return number


def _constant(text: str) -> None:
    raise NotJanssonError


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_real, parse_constant=_constant)


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
    return depth


def _check_strings(value: Any) -> None:
    if type(value) is str:
        if _UNPRINTABLE.search(value):
            raise NotJanssonError
    elif type(value) is dict:
        for name, item in value.items():
            _check_strings(name)
            _check_strings(item)
    elif type(value) is list:
        for item in value:
            _check_strings(item)


def dump(value: Any, comma: str = ",", colon: str = ":") -> str:
    """
    A value as JSON.

    :param comma: between items; jansson has a space behind it unless it writes compactly.
    :param colon: between a name and a value.
    """
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if type(value) is str:
        return _quoted(value)
    if type(value) is float:
        return _shown(value)
    if type(value) is dict:
        return (
            "{" + comma.join([f"{_quoted(key)}{colon}{dump(item, comma, colon)}" for key, item in value.items()]) + "}"
        )
    if type(value) is list:
        return "[" + comma.join([dump(item, comma, colon) for item in value]) + "]"
    return str(value)


def short_real(number: float) -> str:
    """A real number as a script sees it, with 15 digits."""
    return f"{number:.15g}"


def _shown(number: float) -> str:
    text = f"{number:.17g}"
    if "e" in text:
        return _EXPONENT.sub(r"e\1", text)
    return text if "." in text else f"{text}.0"


def _quoted(text: str) -> str:
    return '"' + _SPECIAL.sub(lambda match: _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04X}", text) + '"'
