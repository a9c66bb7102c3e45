"""Times as JetStream writes them: durations in nanoseconds, and moments as in RFC 3339."""

from __future__ import annotations

import calendar
import re
from time import gmtime, strftime

_SECOND = 1_000_000_000
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))")


def to_nanoseconds(seconds: float) -> int:
    """A number of seconds in nanoseconds."""
    return round(seconds * _SECOND)


def to_seconds(nanoseconds: int) -> float:
    """A number of nanoseconds in seconds."""
    return nanoseconds / _SECOND


def parse_time(text: str) -> int:
    """
    Read a moment, such as ``2026-11-26T21:21:49.411423122Z``.

    :return: nanoseconds since 1970 (UTC). A float would lose the last digits.
    :raises ValueError: it is malformed.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"not a time with a date and a time zone: {text[:100]!r}")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    days = calendar.monthrange(year, month)[1] if 1 <= month <= 12 and year > 0 else 0
    if not (1 <= day <= days and hour < 24 and minute < 60 and second <= 60):
        raise ValueError(f"there is no such time: {text!r}")
    offset = 0
    if found[8]:
        offset = (int(found[9]) * 60 + int(found[10])) * (-60 if found[8] == "-" else 60)
    whole = calendar.timegm((year, month, day, hour, minute, second)) - offset
    return whole * _SECOND + int((found[7] or "0").ljust(9, "0"))


def format_time(nanoseconds: int) -> str:
    """Write a moment, given in nanoseconds since 1970 (UTC)."""
    whole, fraction = divmod(nanoseconds, _SECOND)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(whole))}.{fraction:09d}Z"
