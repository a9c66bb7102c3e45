"""Key-value buckets on the wire: their names, keys, subjects and headers (NATS ADR-8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations
from typing import Literal

from natsroute.errors import SubjectError
from natsroute.wire.headers import Headers
from natsroute.wire.subjects import overlaps

#: What became of a key. Deleting keeps its history, purging removes it.
Operation = Literal["put", "delete", "purge"]

#: The header that marks a key as deleted, and its values.
OPERATION = "KV-Operation"
DELETE, PURGE = "DEL", "PURGE"
#: The header of a mark that the server makes itself, because a value has expired.
MARKER_REASON = "Nats-Marker-Reason"
_BUCKET = re.compile(r"[a-zA-Z0-9_-]+")
_TOKEN = r"[-/_=a-zA-Z0-9]+"
_KEY = re.compile(rf"{_TOKEN}(?:\.{_TOKEN})*")
_PATTERN = re.compile(rf"(?:(?:{_TOKEN}|\*)\.)*(?:{_TOKEN}|\*|>)")
_ALLOWED = "Use letters, digits, '-', '_', '=' and '/', and single dots between them"

#: What the subject of each key begins with, before the bucket.
SUBJECTS = "$KV."
#: What the name of the stream of a bucket begins with.
STREAMS = "KV_"


def check_bucket(bucket: str) -> str:
    """
    The name of a bucket, if it is valid.

    :raises SubjectError: it is not.
    """
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket):
        raise SubjectError(f"{bucket!r} is not the name of a bucket. Use letters, digits, '-' and '_'")
    return bucket


def check_key(key: str) -> str:
    """
    A key, if it is valid.

    :raises SubjectError: it is not.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise SubjectError(f"{key!r} is not a key. {_ALLOWED}")
    return key


def check_key_pattern(pattern: str) -> str:
    """
    A key, or a pattern of keys with ``*`` for one token and ``>`` for all further ones, if it is valid.

    :raises SubjectError: it is not.
    """
    if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
        raise SubjectError(f"{pattern!r} is not a pattern of keys. {_ALLOWED}; '*' and '>' are whole tokens")
    return pattern


def disjoint(patterns: Iterable[str]) -> tuple[str, ...]:
    """
    Patterns of which no two overlap, and that match all keys that some patterns match: the same, or ``>`` alone. The
    server refuses a consumer with patterns that overlap.
    """
    distinct = tuple(dict.fromkeys(patterns))
    return (">",) if any(overlaps(one, other) for one, other in combinations(distinct, 2)) else distinct


def stream_of(bucket: str) -> str:
    """The name of the stream of a bucket."""
    return STREAMS + bucket


def subject_of(bucket: str, key: str) -> str:
    """The subject of a key, or of a pattern of keys."""
    return f"{SUBJECTS}{bucket}.{key}"


def bucket_of(subject: str) -> str:
    """The bucket that a subject belongs to; empty if it is no such subject."""
    return subject.split(".", 2)[1] if subject.startswith(SUBJECTS) else ""


def key_of(subject: str) -> str:
    """The key that a subject of a bucket stands for; empty if it is no such subject."""
    return subject.split(".", 2)[2] if subject.startswith(SUBJECTS) and subject.count(".") > 1 else ""


def operation_of(headers: Headers) -> Operation:
    """What became of the key that a message with these headers is about."""
    operation = headers.get(OPERATION)
    if operation == DELETE:
        return "delete"
    if operation == PURGE:
        return "purge"
    reason = headers.get(MARKER_REASON)
    if reason is None:
        return "put"
    return "delete" if reason == "Remove" else "purge"  # MaxAge, Purge, and what later servers may say
