"""A shell's wildcard patterns, as the C library's ``fnmatch`` takes them, byte by byte."""

from __future__ import annotations

import re
from functools import lru_cache

import attrs

_CLASSES = {
    b"alpha": rb"a-zA-Z",
    b"digit": rb"0-9",
    b"alnum": rb"a-zA-Z0-9",
    b"upper": rb"A-Z",
    b"lower": rb"a-z",
    b"space": rb" \t\n\r\f\v",
    b"blank": rb" \t",
    b"xdigit": rb"0-9a-fA-F",
    b"punct": rb"!-/:-@\[-`{-~",
}


@attrs.frozen
class _Part:
    """
    What stands between two ``*``. It matches a number of bytes that is known.

    :ivar pattern: for these bytes.
    :ivar length: the number.
    """

    pattern: re.Pattern[bytes]
    length: int


def matches_wildcard(text: bytes, pattern: bytes) -> bool:
    """
    Whether a pattern matches a whole text.

    It takes time in proportion to the length of the text and to that of the longest part between two ``*``.

    :param pattern: ``*`` for any bytes, ``?`` for one, ``[a-z]`` and ``[!a-z]`` for some; a backslash before one of
        these takes its meaning away.
    """
    parts = _compile(pattern)
    if parts is None:
        return False
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return first.pattern.fullmatch(text) is not None
    end = len(text) - last.length
    if end < first.length or first.pattern.match(text) is None or last.pattern.match(text, end) is None:
        return False
    position = first.length
    for part in parts[1:-1]:
        found = part.pattern.search(text, position, end)  # the first place leaves most for the others
        if found is None:
            return False
        position = found.end()
    return True


@lru_cache(256)
def _compile(pattern: bytes) -> tuple[_Part, ...] | None:
    """The parts between the ``*``; None if nothing can match: a backslash is at the end."""
    parts: list[_Part] = []
    elements: list[bytes] = []
    position = 0
    while position < len(pattern):
        byte = pattern[position : position + 1]
        position += 1
        if byte == b"*":
            parts.append(_part(elements))
            elements = []
        elif byte == b"?":
            elements.append(b".")
        elif byte == b"[" and (found := _set(pattern, position)) is not None:
            element, position = found
            elements.append(element)
        elif byte == b"\\":
            if position == len(pattern):
                return None
            elements.append(re.escape(pattern[position : position + 1]))
            position += 1
        else:
            elements.append(re.escape(byte))
    parts.append(_part(elements))
    return tuple(parts)


def _part(elements: list[bytes]) -> _Part:
    return _Part(re.compile(b"".join(elements), re.DOTALL), len(elements))


def _set(pattern: bytes, position: int) -> tuple[bytes, int] | None:
    """The set as a regular expression, and the index behind it; None if it is not closed: then it is a bracket."""
    negated = pattern[position : position + 1] in (b"!", b"^")
    position += negated
    members: list[bytes] = []
    first = True
    while True:
        byte = pattern[position : position + 1]
        if not byte:
            return None
        if byte == b"]" and not first:
            break
        first = False
        if pattern.startswith(b"[:", position) and (end := pattern.find(b":]", position)) > 0:
            members.append(_CLASSES.get(pattern[position + 2 : end], b""))
            position = end + 2
            continue
        low, position = _member(pattern, position)
        if pattern[position : position + 1] == b"-" and pattern[position + 1 : position + 2] not in (b"]", b""):
            high, position = _member(pattern, position + 1)
            if low <= high:
                members.append(_escaped(low) + b"-" + _escaped(high))
        else:
            members.append(_escaped(low))
    inside = b"".join(members)
    if not inside:
        return (b"." if negated else b"(?!).", position + 1)
    return b"[" + (b"^" if negated else b"") + inside + b"]", position + 1


def _member(pattern: bytes, position: int) -> tuple[bytes, int]:
    """A byte of a set, and the index behind it."""
    position += pattern[position : position + 1] == b"\\" and position + 1 < len(pattern)
    return pattern[position : position + 1], position + 1


def _escaped(byte: bytes) -> bytes:
    return b"\\" + byte if byte in rb"\]^-[&~|" else byte
