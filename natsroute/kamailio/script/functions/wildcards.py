"""A shell's wildcard patterns, as the C library's ``fnmatch`` takes them, byte by byte."""

from __future__ import annotations

from functools import lru_cache

#: What one byte is compared with: the bytes that it may be, or None for any number of any bytes.
_Element = frozenset[int] | None

_ANY = frozenset(range(256))
_CLASSES = {
    "alpha": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "digit": "0123456789",
    "alnum": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "space": " \t\n\r\f\v",
    "blank": " \t",
    "xdigit": "0123456789abcdefABCDEF",
    "punct": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
}


def matches_wildcard(text: bytes, pattern: bytes) -> bool:
    """
    Whether a pattern matches a whole text. It takes time in proportion to the product of both lengths at worst.

    :param pattern: ``*`` for any bytes, ``?`` for one, ``[a-z]`` and ``[!a-z]`` for some; a backslash before one of
        these takes its meaning away.
    """
    elements = _compile(pattern)
    if elements is None:
        return False
    position = element = 0
    star, behind_star = -1, 0
    while position < len(text):
        if element < len(elements):
            wanted = elements[element]
            if wanted is None:
                star, behind_star = element, position
                element += 1
                continue
            if text[position] in wanted:
                position += 1
                element += 1
                continue
        if star < 0:
            return False
        behind_star += 1  # the last * takes one byte more
        position, element = behind_star, star + 1
    return all(rest is None for rest in elements[element:])


@lru_cache(256)
def _compile(pattern: bytes) -> tuple[_Element, ...] | None:
    """None if nothing can match: a backslash is at the end."""
    elements: list[_Element] = []
    position = 0
    while position < len(pattern):
        byte = pattern[position : position + 1]
        position += 1
        if byte == b"*":
            elements.append(None)
        elif byte == b"?":
            elements.append(_ANY)
        elif byte == b"[" and (found := _set(pattern, position)) is not None:
            members, position = found
            elements.append(members)
        elif byte == b"\\":
            if position == len(pattern):
                return None
            elements.append(frozenset(pattern[position : position + 1]))
            position += 1
        else:
            elements.append(frozenset(byte))
    return tuple(elements)


def _set(pattern: bytes, position: int) -> tuple[frozenset[int], int] | None:
    """The bytes of a set, and the index behind it; None if it is not closed, so that its bracket is a bracket."""
    negated = pattern[position : position + 1] in (b"!", b"^")
    position += negated
    members: set[int] = set()
    first = True
    while True:
        byte = pattern[position : position + 1]
        if not byte:
            return None
        if byte == b"]" and not first:
            break
        first = False
        if pattern.startswith(b"[:", position) and (end := pattern.find(b":]", position)) > 0:
            members |= set(_CLASSES.get(pattern[position + 2 : end].decode("latin-1"), "").encode())
            position = end + 2
            continue
        position += byte == b"\\" and position + 1 < len(pattern)
        low = pattern[position]
        position += 1
        if pattern[position : position + 1] == b"-" and pattern[position + 1 : position + 2] not in (b"]", b""):
            position += 1
            position += pattern[position : position + 1] == b"\\" and position + 1 < len(pattern)
            members |= set(range(low, pattern[position] + 1))
            position += 1
        else:
            members.add(low)
    return (_ANY - members if negated else frozenset(members)), position + 1
