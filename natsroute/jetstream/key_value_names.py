"""The names of buckets and keys, and the subjects that they stand for (NATS ADR-8)."""

from __future__ import annotations

import re

from natsroute.jetstream.errors import KeyValueNameError

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

    :raises KeyValueNameError: it is not.
    """
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket):
        raise KeyValueNameError(f"{bucket!r} is not the name of a bucket. Use letters, digits, '-' and '_'")
    return bucket


def check_key(key: str) -> str:
    """
    A key, if it is valid.

    :raises KeyValueNameError: it is not.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise KeyValueNameError(f"{key!r} is not a key. {_ALLOWED}")
    return key


def check_key_pattern(pattern: str) -> str:
    """
    A key, or a pattern of keys with ``*`` for one token and ``>`` for all further ones, if it is valid.

    :raises KeyValueNameError: it is not.
    """
    if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
        raise KeyValueNameError(f"{pattern!r} is not a pattern of keys. {_ALLOWED}; '*' and '>' are whole tokens")
    return pattern


def stream_of(bucket: str) -> str:
    """The name of the stream of a bucket."""
    return STREAMS + bucket


def subject_of(bucket: str, key: str) -> str:
    """The subject of a key, or of a pattern of keys."""
    return f"{SUBJECTS}{bucket}.{key}"


def key_of(subject: str) -> str:
    """The key that a subject of a bucket stands for; empty if it is no such subject."""
    return subject.split(".", 2)[2] if subject.startswith(SUBJECTS) and subject.count(".") > 1 else ""
