"""
Subjects and queue groups: which may reach the wire, and which patterns they match.

Source: NATS ADR-6 (naming rules). Beyond it, no ASCII control character is let through: a line break in a subject
would be an injected command.
"""

from __future__ import annotations

import re

from natsroute.errors import SubjectError

# Of the surrogates, those alone that stand for a byte which is not UTF-8 can be written.
_REFUSED = r"\x00-\x20\x7f\ud800-\udc7f\udd00-\udfff"
_TOKEN = rf"[^{_REFUSED}.]+"
_NAME = re.compile(rf"{_TOKEN}(?:\.{_TOKEN})*")
# What nearly all subjects are made of, and no more than that: ASCII without the wildcards.
_PLAIN = re.compile(r"[!-)+\-,/-=?-~]+(?:\.[!-)+\-,/-=?-~]+)*")
_WILDCARD = re.compile(r"(?:^|\.)[*>](?:\.|$)")
_INNER_TAIL = re.compile(r"(?:^|\.)>\.")
_QUEUE_GROUP = re.compile(rf"[^{_REFUSED}]+")


def check_subject(subject: str) -> None:
    """
    Refuse what cannot be published to: white space, an empty token, a wildcard.

    :raises SubjectError: says what is wrong with it.
    """
    _check_name(subject)
    if _WILDCARD.search(subject):
        raise SubjectError(f"subject {subject!r}: a message cannot be sent to a wildcard")


def is_plain(subject: str) -> bool:
    """Whether it is a subject at first sight: ASCII, and no wildcard character in it. Others may be one too."""
    return _PLAIN.fullmatch(subject) is not None


def check_pattern(pattern: str) -> None:
    """
    Refuse what cannot be subscribed to: white space, an empty token, a ``>`` that is not last.

    :raises SubjectError: says what is wrong with it.
    """
    _check_name(pattern)
    if _INNER_TAIL.search(pattern):
        raise SubjectError(f"subject {pattern!r}: '>' stands for all that follows, and may only be last")


def check_queue_group(queue_group: str) -> None:
    """
    Refuse what cannot be a queue group: nothing, or white space in it.

    :raises SubjectError: says what is wrong with it.
    """
    if not _QUEUE_GROUP.fullmatch(queue_group):
        raise SubjectError(f"queue group {queue_group!r}: {_character_problem(queue_group) or 'is empty'}")


def _check_name(subject: str) -> None:
    if _NAME.fullmatch(subject):
        return
    if not subject:
        problem = "is empty"
    else:
        problem = _character_problem(subject) or "has an empty token: two dots in a row, or one at an end"
    raise SubjectError(f"subject {subject!r}: it {problem}")


def _character_problem(name: str) -> str:
    if re.search(r"[\x00-\x20\x7f]", name):
        return "has white space or a control character in it"
    if re.search(f"[{_REFUSED}]", name):
        return "has half of a surrogate pair in it, which UTF-8 cannot say"
    return ""


def is_wildcard(pattern: str) -> bool:
    """Whether the pattern can match more than one subject."""
    return _WILDCARD.search(pattern) is not None


def overlaps(pattern: str, other: str) -> bool:
    """
    Whether some subject matches both patterns; with a subject on one side, whether the pattern matches it.

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
