"""The numbers of ``kamailio.cfg``: ``10``, ``0x1F``, ``010``, ``101b``, ``yes``."""

from __future__ import annotations

import re

from natsroute.kamailio.values import MAX_INTEGER

_FORMS = (
    (re.compile(r"(0|[1-9][0-9]*)"), 10),
    (re.compile(r"0x([0-9a-fA-F]+)"), 16),
    (re.compile(r"0([0-7]+)"), 8),
    (re.compile(r"([01]+)b"), 2),
)
_WORDS = {
    **dict.fromkeys(("yes", "true", "on", "enable"), 1),
    **dict.fromkeys(("no", "false", "off", "disable"), 0),
}

#: No number of 64 bits has more digits, unless they are zeros in front.
_MAX_DIGITS = 64


def number_of(word: str) -> int | None:
    """The number that a word stands for; None if it is none, or has more than 64 bits."""
    for form, base in _FORMS:
        found = form.fullmatch(word)
        if found:
            number = int(found[1], base) if len(found[1]) <= _MAX_DIGITS else MAX_INTEGER + 1
            return number if number <= MAX_INTEGER else None
    return _WORDS.get(word)
