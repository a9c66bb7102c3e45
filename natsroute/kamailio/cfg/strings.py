"""The string literals of ``kamailio.cfg``: ``"with escapes"`` and ``'as it is'``."""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb'\\(?:x([0-9a-fA-F]{1,2})|([0-7]{2,3})|([nrat"\\])|(\n))')
_CHARACTERS = {b"n": b"\n", b"r": b"\r", b"a": b"\a", b"t": b"\t", b'"': b'"', b"\\": b"\\"}
_TO_ESCAPE = {'"': '\\"', "\\": "\\\\"}


def string_value(literal: str) -> str:
    r"""
    What a string literal means.

    Between double quotes, the escapes are ``\n``, ``\r``, ``\a``, ``\t``, ``\"``, ``\\``, ``\x`` with one or two
    hexadecimal digits and ``\`` with two or three octal ones; ``\`` at the end of a line joins it to the next one. A
    backslash before anything else stays. Between single quotes, all characters stand for themselves.

    :param literal: the literal, with its quotes.
    :return: its characters; bytes that are not UTF-8 are surrogate escapes.
    """
    inner = literal[1:-1]
    if literal.startswith("'") or "\\" not in inner:
        return inner
    return _ESCAPE.sub(_unescaped, inner.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _unescaped(found: re.Match[bytes]) -> bytes:
    hexadecimal, octal, character, _ = found.groups()
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    return _CHARACTERS[character] if character else b""


def quoted(value: str) -> str:
    """A literal with this value, in double quotes."""
    return '"' + re.sub(r'["\\]', lambda found: _TO_ESCAPE[found[0]], value) + '"'
