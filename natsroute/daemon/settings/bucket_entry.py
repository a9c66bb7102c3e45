"""The key-value buckets whose changes event routes are for."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from natsroute.wire.key_value import disjoint, subject_of


@attrs.frozen
class KeyValueEntry:
    """
    The changes of a key-value bucket that event routes are for. No setting names it: the routes do.

    :ivar bucket: the bucket.
    :ivar patterns: the keys: each matches one of these patterns. No two of them overlap.
    """

    bucket: str
    patterns: tuple[str, ...]

    @classmethod
    def of(cls, bucket: str, patterns: Iterable[str]) -> KeyValueEntry:
        """
        The entry of the routes for a bucket.

        :param patterns: those of the routes; they may overlap.
        """
        return cls(bucket, disjoint(patterns))

    @property
    def subject(self) -> str:
        """What the subjects of its messages match."""
        return subject_of(self.bucket, ">")

    @property
    def queue_group(self) -> None:
        """There is none: nobody shares the changes."""
        return None

    @property
    def event_name(self) -> str:
        """What it is called in the log."""
        return str(self)

    def reaches(self, pattern: str) -> bool:
        """Whether all keys that a pattern matches are among its own."""
        return ">" in self.patterns or pattern in self.patterns

    def __str__(self) -> str:
        return f"kv:{self.bucket}"
