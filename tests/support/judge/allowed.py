"""Which values may differ, by the names that the differences have in :mod:`natsroute.kamailio.differences`."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.support.judge import Value

_LARGE_INTEGER = re.compile(rb"[0-9]{10}")
_EMPTY_LINE = re.compile(rb"(?:^|\n)\n")
_SAME_CLASS_TWICE = re.compile(r"\{(param|uri|nameaddr|tobody)\..*\{\1\.")
_PARAM_AS_NUMBER = re.compile(r"\{(?:param\.value|param\.valueat|uri\.param)[^}]*\}\{s\.int\}")
#: What Kamailio formats, and what it transforms, must be shorter.
_FORMAT_BUFFER, _BUFFER = 8192, 65535
#: Looks at a payload, an expression, the value that Kamailio gives and that of natsroute.
Predicate = Callable[[bytes, str, Value, Value], bool]


def _base58(payload: bytes, expression: str, theirs: Value, ours: Value) -> bool:
    if "{s.decode.base58}" not in expression or not isinstance(theirs, bytes) or not isinstance(ours, bytes):
        return False
    return theirs.rstrip(b"\0") == ours.lstrip(b"\0").rstrip(b"\0") and len(theirs) == len(ours) + 1


ALLOWED: dict[str, Predicate] = {
    "nul-bytes": lambda payload, expression, theirs, ours: b"\\u0000" in payload,
    "64-bit-integers": lambda payload, expression, theirs, ours: (
        ("s.int" in expression or "s.ftime" in expression) and _LARGE_INTEGER.search(payload) is not None
    ),
    "broken-lines": lambda payload, expression, theirs, ours: "{s.fmtline" in expression,
    "base58-end": _base58,
    "short-uri": lambda payload, expression, theirs, ours: (
        any(f"{{uri.{name}}}" in expression for name in ("saor", "suri", "duri"))
        and isinstance(theirs, bytes)
        and isinstance(ours, bytes)
        and len(theirs) == len(ours) + 1
        and theirs.partition(b":")[2][1:] == ours.partition(b":")[2]
    ),
    "avp-from-the-end": lambda payload, expression, theirs, ours: "avp(list)[-" in expression and theirs is None,
    "empty-lines-from-the-end": lambda payload, expression, theirs, ours: (
        ("{line.at,-" in expression or "{line.at,$var(minus)" in expression) and _EMPTY_LINE.search(payload) is not None
    ),
    "no-value-no-number": lambda payload, expression, theirs, ours: (
        _PARAM_AS_NUMBER.search(expression) is not None and theirs is None
    ),
    "same-class-twice": lambda payload, expression, theirs, ours: _SAME_CLASS_TWICE.search(expression) is not None,
    "large-values": lambda payload, expression, theirs, ours: (
        theirs is None and isinstance(ours, bytes) and len(ours) >= (_FORMAT_BUFFER if "$_s" in expression else _BUFFER)
    ),
    "name-address-again": lambda payload, expression, theirs, ours: "{nameaddr." in expression and ours is None,
    "alias-without-tilde": lambda payload, expression, theirs, ours: (
        "{urialias.decode}" in expression and ours == b"" and payload.count(b"~") < 2
    ),
    "newer-transformations": lambda payload, expression, theirs, ours: (
        any(name in expression for name in ("{json.parsex", "{json.encode", "{val.", "{num.")) and theirs is None
    ),
    "whole-xavp": lambda payload, expression, theirs, ours: (
        isinstance(theirs, bytes) and theirs.startswith(b"<<xavp:0x") and ours == b"<<xavp>>"
    ),
    "own-variables": lambda payload, expression, theirs, ours: (
        theirs is None and any(name in expression for name in ("$natsSubject", "$natsQueueGroup", "$defv", "$defs"))
    ),
}


def difference(payload: bytes, expression: str, theirs: Value, ours: Value) -> str | None:
    """The name of the difference that these values show; None if none of those allowed does."""
    for name, shows in ALLOWED.items():
        if shows(payload, expression, theirs, ours):
            return name
    return None
