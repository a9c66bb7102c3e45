"""The keys that entries of shared hash tables have in a key-value bucket, and the values there."""

from __future__ import annotations

import re

# What NATS allows in a key (ADR-8), without the sign that escapes the rest.
_OTHERS = re.compile(rb"[^-/_.a-zA-Z0-9]")
# Dots that a key must not have: at the beginning, at the end, and behind another one.
_DOTS = re.compile(rb"^\.|\.$|(?<=\.)\.")
_ESCAPE = re.compile(rb"=([0-9A-F]{2})")
_EMPTY = "="


def key_of_name(name: bytes) -> str:
    """
    The key of an entry: its name, with ``=`` and two hexadecimal digits for each byte that a key must not have.

    >>> key_of_name(b"sip:alice@example.com")
    'sip=3Aalice=40example.com'
    """
    if not name:
        return _EMPTY
    escaped = _OTHERS.sub(lambda found: b"=%02X" % ord(found[0]), name)
    return _DOTS.sub(b"=2E", escaped).decode("ascii")


def name_of_key(key: str) -> bytes:
    """The name of the entry with a key. A key that :func:`key_of_name` would not make is a name, too."""
    if key == _EMPTY:
        return b""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), key.encode("utf-8", "surrogateescape"))
