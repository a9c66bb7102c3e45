"""A key-value bucket in memory, for tests of programs: it behaves as one on a server does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.jetstream.errors import MessageTtlError, StreamFullError, WrongLastSequenceError
from natsroute.jetstream.key_value_config import BucketConfig, BucketStatus
from natsroute.jetstream.key_value_entry import MARKER_REASON, TTL, Entry, operation_of, ttl_of
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import Headers, encode_headers, parse_headers

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_ROLLUP = "Nats-Rollup"
_WRONG_LAST_SEQUENCE, _INVALID_TTL, _TOO_LARGE = 10071, 10165, 10077


class MemoryBucket:
    """
    A bucket in memory. It exists from the start.

    :param clock: gives the time of entries, and removes those whose time is over.
    """

    def __init__(self, name: str, clock: IReactorTime) -> None:
        self.name = name
        self._clock = clock
        self._config = BucketConfig()
        self._revision = 0
        self._entries: dict[int, Entry] = {}  # by revision
        self._by_key: dict[str, list[int]] = {}
        self._ends: dict[int, IDelayedCall] = {}  # of the entries that are removed at some time

    def configure(self, config: BucketConfig) -> None:
        """See :meth:`~natsroute.jetstream.key_value_bucket.Bucket.configure`. The last configuration counts."""
        self._config = config

    async def open(self) -> None:
        """It is there."""

    async def last(self, key: str) -> Entry | None:
        """See :meth:`~natsroute.jetstream.key_value_bucket.Bucket.last`."""
        revisions = self._by_key.get(key)
        return self._entries[revisions[-1]] if revisions else None

    async def at(self, revision: int) -> Entry | None:
        """See :meth:`~natsroute.jetstream.key_value_bucket.Bucket.at`."""
        return self._entries.get(revision)

    async def store(self, key: str, value: bytes, headers: Mapping[str, str]) -> int:
        """See :meth:`~natsroute.jetstream.key_value_bucket.Bucket.store`."""
        block = encode_headers(headers) if headers else b""
        encode_pub(key, value, None, block)  # refuses what cannot be sent
        revisions = self._by_key.get(key, [])
        last = revisions[-1] if revisions else 0
        expected = headers.get(_EXPECTED)
        if expected is not None and int(expected) != last:
            raise WrongLastSequenceError(f"wrong last sequence: {last}", 400, _WRONG_LAST_SEQUENCE)
        limit = self._config.max_value_size
        if 0 <= limit < len(value):
            raise StreamFullError("message size exceeds maximum allowed", 400, _TOO_LARGE)
        parsed = parse_headers(block) if block else Headers()
        if TTL in parsed and ttl_of(parsed) is None:
            raise MessageTtlError("invalid per-message TTL", 400, _INVALID_TTL)
        if _ROLLUP in headers:
            self._remove(key, keep=0)
        entry = self._add(key, value, parsed)
        self._remove(key, keep=self._config.history)
        return entry.revision

    async def status(self) -> BucketStatus:
        """See :meth:`~natsroute.jetstream.key_value_bucket.Bucket.status`."""
        size = sum(len(entry.key) + len(entry.value) for entry in self._entries.values())
        state: dict[str, Any] = {"messages": len(self._entries), "bytes": size}
        return BucketStatus.of({"config": self._config.stream(self.name), "state": state})

    def _add(self, key: str, value: bytes, headers: Headers) -> Entry:
        self._revision = revision = self._revision + 1
        entry = Entry(self.name, key, value, revision, self._clock.seconds(), operation_of(headers), headers=headers)
        self._entries[revision] = entry
        self._by_key.setdefault(key, []).append(revision)
        ttl = entry.ttl
        seconds = self._config.ttl if ttl is None else ttl
        if seconds is not None:
            self._ends[revision] = self._clock.callLater(seconds, self._expire, entry)
        return entry

    def _remove(self, key: str, *, keep: int) -> None:
        """Remove all entries of a key but the last ones."""
        revisions = self._by_key.get(key, [])
        for revision in revisions[: len(revisions) - keep]:
            del self._entries[revision]
            end = self._ends.pop(revision, None)
            if end is not None:
                end.cancel()
        self._by_key[key] = revisions[len(revisions) - keep :] if keep else []

    def _expire(self, entry: Entry) -> None:
        """The time of an entry is over. If it was the last one of its key, the server may leave a mark."""
        del self._ends[entry.revision], self._entries[entry.revision]
        revisions = self._by_key[entry.key]
        revisions.remove(entry.revision)
        seconds = self._config.limit_marker_ttl
        if not revisions and seconds is not None and not entry.is_deleted:
            self._add(entry.key, b"", Headers({MARKER_REASON: ["MaxAge"], TTL: [f"{seconds:g}s"]}))
