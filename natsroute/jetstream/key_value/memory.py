"""A key-value bucket in memory, for tests of programs: it behaves as one on a server does."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.jetstream.errors import MessageTtlError, StreamFullError, WrongLastSequenceError
from natsroute.jetstream.key_value.config import BucketConfig, BucketStatus
from natsroute.jetstream.key_value.entry import TTL, Entry, moment_of, ttl_of
from natsroute.jetstream.key_value.watch import Watch, WatchOptions
from natsroute.jetstream.management.streams import StreamInfo
from natsroute.jetstream.times import to_nanoseconds
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import Headers, encode_headers, parse_headers
from natsroute.wire.key_value import MARKER_REASON, disjoint, operation_of, subject_of

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
        self._watches: list[_MemoryWatch] = []
        self._ends: dict[int, IDelayedCall] = {}  # of the entries that are removed at some time

    @property
    def clock(self) -> IReactorTime:
        """See :attr:`~natsroute.jetstream.key_value.bucket.Bucket.clock`."""
        return self._clock

    def configure(self, config: BucketConfig) -> None:
        """See :meth:`~natsroute.jetstream.key_value.bucket.Bucket.configure`. The last configuration counts."""
        self._config = config

    async def open(self) -> None:
        """It is there."""

    async def last(self, key: str) -> Entry | None:
        """See :meth:`~natsroute.jetstream.key_value.bucket.Bucket.last`."""
        revisions = self._by_key.get(key)
        return self._entries[revisions[-1]] if revisions else None

    async def at(self, revision: int) -> Entry | None:
        """See :meth:`~natsroute.jetstream.key_value.bucket.Bucket.at`."""
        return self._entries.get(revision)

    async def store(self, key: str, value: bytes, headers: Mapping[str, str]) -> int:
        """See :meth:`~natsroute.jetstream.key_value.bucket.Bucket.store`."""
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

    def watch(self, watch: Watch, options: WatchOptions) -> None:
        """
        See :meth:`~natsroute.jetstream.key_value.bucket.Bucket.watch`. ``on_entry`` is called during the call that
        changes the bucket, unless it is busy with another entry.
        """
        self._watches.append(_MemoryWatch(watch, options))
        self._watches[-1].begin(self._entries.values(), self._by_key)
        watch.started(lambda: None)

    async def subjects(self, patterns: Iterable[str]) -> list[str]:
        """See :meth:`~natsroute.jetstream.key_value.bucket.Bucket.subjects`."""
        await self.open()
        return [subject_of(self.name, pattern) for pattern in disjoint(patterns)]

    def stop_watches(self) -> None:
        """See :meth:`~natsroute.jetstream.key_value.bucket.Bucket.stop_watches`."""
        for one in self._watches:
            one.watch.stop()

    async def status(self) -> BucketStatus:
        """See :meth:`~natsroute.jetstream.key_value.bucket.Bucket.status`."""
        size = sum(len(entry.key) + len(entry.value) for entry in self._entries.values())
        return BucketStatus.of(
            StreamInfo(
                config=self._config.stream(self.name),
                messages=len(self._entries),
                bytes=size,
                first_sequence=min(self._entries, default=self._revision + 1),
                last_sequence=self._revision,
                consumers=0,
                created="",
                cluster={},
            )
        )

    def _add(self, key: str, value: bytes, headers: Headers) -> Entry:
        self._revision = revision = self._revision + 1
        created = moment_of(to_nanoseconds(self._clock.seconds()))
        entry = Entry(self.name, key, value, revision, created, operation_of(headers), headers=headers)
        self._entries[revision] = entry
        self._by_key.setdefault(key, []).append(revision)
        ttl = entry.ttl
        seconds = self._config.ttl if ttl is None else ttl
        if seconds is not None:
            self._ends[revision] = self._clock.callLater(seconds, self._expire, entry)
        self._watches = [one for one in self._watches if not one.watch.stopped]
        for one in tuple(self._watches):
            one.offer(entry)
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


class _MemoryWatch:
    """Hands entries to a watch, one after the other."""

    def __init__(self, watch: Watch, options: WatchOptions) -> None:
        self.watch = watch
        self._options = options
        self._queue: deque[Entry | None] = deque()  # None: it has caught up
        self._is_busy = False

    def begin(self, entries: Iterable[Entry], by_key: Mapping[str, list[int]]) -> None:
        """What is there already."""
        if not self._options.updates_only:
            there = [
                entry
                for entry in entries
                if self._matches(entry) and (self._options.history or by_key[entry.key][-1] == entry.revision)
            ]
            left = len(there)
            for entry in there:
                left -= 1
                self._queue.append(attrs.evolve(entry, delta=left))
        self._queue.append(None)
        self._hand_over()

    def offer(self, entry: Entry) -> None:
        """A change."""
        if self._matches(entry):
            self._queue.append(entry)
            self._hand_over()

    def _matches(self, entry: Entry) -> bool:
        return self._options.matches(entry.key)

    def _hand_over(self) -> None:
        while self._queue and not self._is_busy and not self.watch.stopped:
            entry = self._queue.popleft()
            if entry is None:
                self.watch.has_caught_up()
                continue
            self._is_busy = True
            busy = self.watch.hand_over(attrs.evolve(entry, value=b"") if self._options.meta_only else entry)
            if busy is None:
                self._is_busy = False
            else:
                busy.addBoth(self._done)

    def _done(self, result: Any) -> None:
        self._is_busy = False
        self._hand_over()
