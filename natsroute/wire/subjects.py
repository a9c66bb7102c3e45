"""
Subjects and queue groups: which are valid, and which patterns match them.

Source: NATS ADR-6 (naming rules). In addition, ASCII control characters are refused: a line break in a subject would
inject a command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from natsroute.errors import SubjectError

# The only surrogates that can be written are surrogate escapes, which stand for bytes that are not UTF-8.
_INVALID = r"\x00-\x20\x7f\ud800-\udc7f\udd00-\udfff"
_TOKEN = rf"[^{_INVALID}.]+"
_NAME = re.compile(rf"{_TOKEN}(?:\.{_TOKEN})*")
# Nearly all subjects: ASCII without the characters of the wildcards.
_PLAIN = re.compile(r"[!-)+\-,/-=?-~]+(?:\.[!-)+\-,/-=?-~]+)*")
_WILDCARD = re.compile(r"(?:^|\.)[*>](?:\.|$)")
_INNER_TAIL = re.compile(r"(?:^|\.)>\.")
_QUEUE_GROUP = re.compile(rf"[^{_INVALID}]+")
_SERVICE_NAME = re.compile(r"[A-Za-z0-9_-]+")


def check_subject(subject: str) -> None:
    """
    Refuse subjects that cannot be published to: with white space, an empty token or a wildcard.

    :raises SubjectError: the subject is invalid.
    """
    _check_name(subject)
    if _WILDCARD.search(subject):
        raise SubjectError(f"subject {subject!r}: messages cannot be published to a wildcard")


def is_plain(subject: str) -> bool:
    """Whether it is certainly a valid subject: ASCII without wildcard characters. Others may be valid, too."""
    return _PLAIN.fullmatch(subject) is not None


def check_pattern(pattern: str) -> None:
    """
    Refuse subjects that cannot be subscribed to: with white space, an empty token or a ``>`` that is not last.

    :raises SubjectError: the pattern is invalid.
    """
    _check_name(pattern)
    if _INNER_TAIL.search(pattern):
        raise SubjectError(f"subject {pattern!r}: '>' matches all further tokens, so it may only be last")


def check_queue_group(queue_group: str) -> None:
    """
    Refuse queue groups that are empty or have white space.

    :raises SubjectError: the queue group is invalid.
    """
    if not _QUEUE_GROUP.fullmatch(queue_group):
        raise SubjectError(f"queue group {queue_group!r}: it {_character_problem(queue_group) or 'is empty'}")


def _check_name(subject: str) -> None:
    if _NAME.fullmatch(subject):
        return
    if not subject:
        problem = "is empty"
    else:
        problem = (
            _character_problem(subject) or "has an empty token: two dots in a row, or a dot at the beginning or end"
        )
    raise SubjectError(f"subject {subject!r}: it {problem}")


def _character_problem(name: str) -> str:
    if re.search(r"[\x00-\x20\x7f]", name):
        return "has white space or a control character"
    if re.search(f"[{_INVALID}]", name):
        return "has half of a surrogate pair, which UTF-8 cannot encode"
    return ""


def is_service_name(name: str) -> bool:
    """Whether a name is valid for a service or an endpoint: letters, digits, ``-`` and ``_`` of ASCII (NATS ADR-32)."""
    return _SERVICE_NAME.fullmatch(name) is not None


def is_wildcard(pattern: str) -> bool:
    """Whether the pattern can match more than one subject."""
    return _WILDCARD.search(pattern) is not None


def overlaps(pattern: str, other: str) -> bool:
    """
    Whether a subject can match both patterns. If one of them is a subject, whether the other matches it.

    >>> overlaps("orders.*", "orders.new"), overlaps("orders.>", "*.new.eu"), overlaps("orders.*", "orders")
    (True, True, False)
    """
    left, right = pattern.split("."), other.split(".")
    for ours, theirs in zip(left, right):
        if ours == ">" or theirs == ">":
            return True
        if ours != theirs and ours != "*" and theirs != "*":
            return False
    return len(left) == len(right)


def intersection(pattern: str, other: str) -> str | None:
    """
    The pattern for exactly the subjects that match both patterns, or None if there are none.

    >>> intersection("orders.*", "*.new"), intersection("orders.>", "*.*.eu"), intersection("orders.*", "orders")
    ('orders.new', 'orders.*.eu', None)
    """
    left, right = pattern.split("."), other.split(".")
    tokens: list[str] = []
    for number, (ours, theirs) in enumerate(zip(left, right)):
        if ours == ">":
            return ".".join([*tokens, *right[number:]])
        if theirs == ">":
            return ".".join([*tokens, *left[number:]])
        if ours != theirs and ours != "*" and theirs != "*":
            return None
        tokens.append(theirs if ours == "*" else ours)
    return ".".join(tokens) if len(left) == len(right) else None


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A function that tells whether one of these patterns matches a subject."""
    return lambda subject: any(overlaps(pattern, subject) for pattern in patterns)
