"""
JSON as json-c reads and prints it, which Kamailio's ``json`` module is built on.

Numbers keep the digits that they were written with. A document is read by the standard library's parser where that and
json-c agree, and else by :mod:`natsroute.kamailio.json.lenient`.

The slow parser reads only what is not too large, so that nobody can hold up the reactor with a payload that is no JSON.

A parsed document consists of dicts, lists, str, int, bool, None, :class:`Literal` and :class:`RawText`.
"""

from __future__ import annotations

import json
import re
from json.scanner import c_make_scanner, py_make_scanner  # type: ignore[attr-defined,unused-ignore]
from typing import Any

from natsroute.kamailio.json import lenient as json_lenient
from natsroute.kamailio.json.lenient import MAX_DEPTH, Literal, NotJsonError, RawText

#: Bytes that the slow parser reads at most.
MAX_LENIENT = 65536

_MAX_SIGNED, _MIN_SIGNED, _MAX_UNSIGNED = 2**63 - 1, -(2**63), 2**64 - 1

_BLANKS = " \t\n\r"
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

_SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL = re.compile(r'["\\/\x00-\x1f]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

# json-c accepts control characters in strings.
_DECODER = json.JSONDecoder(parse_float=Literal, parse_constant=Literal, strict=False)
_scan = (c_make_scanner or py_make_scanner)(_DECODER)


def parse(data: bytes) -> Any:
    """
    Read a JSON document. What comes behind it is ignored.

    :raises NotJsonError: there is none.
    """
    try:
        text = data.decode()
        if text[:1] in _BLANKS:
            text = text.lstrip(_BLANKS)
        document, _ = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        if len(data) > MAX_LENIENT:
            raise NotJsonError from None
        return json_lenient.parse(data)
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _may_be_deep(data) and _is_deep(document, MAX_DEPTH):
        raise NotJsonError
    return document


def _may_be_deep(data: bytes) -> bool:
    """False only if no value lies deeper than json-c allows; brackets inside strings may raise the result to True."""
    brackets = data.translate(_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")  # the innermost of each nest
    return bool(brackets)


def _is_deep(value: Any, depth: int) -> bool:
    """True if values lie in more objects and arrays than so many."""
    inner = value.values() if type(value) is dict else value if type(value) is list else None
    if inner is None:
        return False
    return depth == 0 or any(_is_deep(item, depth - 1) for item in inner if type(item) in (dict, list))


def as_string(value: Any) -> bytes:
    """A value of a document as json-c's ``json_object_get_string()`` gives it: a string without quotes, else JSON."""
    if type(value) is str:
        return _to_bytes(value)
    return (value if type(value) is RawText else dump(value)).encode("utf-8", "surrogateescape")


def dump(value: Any) -> str:
    """A value as JSON, spaced as json-c does. Bytes that are not UTF-8 become surrogate escapes."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, int):
        return str(min(max(value, _MIN_SIGNED), _MAX_UNSIGNED))
    if isinstance(value, dict):
        fields = [f"{_quoted(key)}: {dump(item)}" for key, item in value.items()]
        return "{ " + ", ".join(fields) + " }" if fields else "{ }"
    if isinstance(value, list):
        return "[ " + ", ".join(map(dump, value)) + " ]" if value else "[ ]"
    return _quoted(value)


def _quoted(text: str) -> str:
    if type(text) is str:
        text = _SURROGATE.sub("\ufffd", text)
    return '"' + _SPECIAL.sub(_escaped, text) + '"'


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _to_bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()
