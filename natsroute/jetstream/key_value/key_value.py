"""A key-value bucket: values under keys, with their history, kept by a stream (NATS ADR-8)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred

from natsroute import payloads
from natsroute.jetstream.errors import (
    BucketConfigError,
    KeyExistsError,
    KeyNotFoundError,
    WrongLastSequenceError,
)
from natsroute.jetstream.key_value.bucket import Bucket
from natsroute.jetstream.key_value.config import BucketStatus
from natsroute.jetstream.key_value.entry import TTL, Entry
from natsroute.jetstream.key_value.watch import OnEntry, Watch, WatchOptions, read_all
from natsroute.wire.key_value import DELETE, OPERATION, PURGE, check_key, check_key_pattern

_P = ParamSpec("_P")
_R = TypeVar("_R")

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_ROLLUP = {"Nats-Rollup": "sub"}
_CREATE_ATTEMPTS = 3


def _deferred(method: Callable[_P, Coroutine[Any, Any, _R]]) -> Callable[_P, Deferred[_R]]:
    """A coroutine function that runs at once, as one that returns a Deferred does, and can be awaited."""

    @wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> Deferred[_R]:
        return Deferred.fromCoroutine(method(*args, **kwargs))

    return call


class KeyValue:
    """
    A bucket. Call the methods in the reactor thread; their Deferreds fire there, and can be awaited. A value is made
    into bytes at once, so it may be changed after the call. Cancelling a Deferred ends the wait; what was sent happens
    all the same.

    All methods fail with :class:`~natsroute.jetstream.errors.BucketNotFoundError` if there is no such bucket, with
    :class:`~natsroute.jetstream.errors.JetStreamError` if the server refuses, with
    :class:`~natsroute.errors.RequestTimeoutError` if it does not answer, with
    :class:`~natsroute.errors.ConnectionLostError` if the connection ends before it does, and with
    :class:`~natsroute.errors.SubjectError` if the key is invalid.

    :param bucket: where the entries are.

    :ivar bucket: the name of the bucket.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket.name
        self._bucket = bucket

    def __repr__(self) -> str:
        return f"<KeyValue {self.bucket}>"

    @_deferred
    async def open(self) -> None:
        """
        Look the bucket up, and create it if that was asked for. The other methods do so by themselves.

        :return: fires when the bucket is there.
        """
        await self._bucket.open()

    @_deferred
    async def status(self) -> BucketStatus:
        """The number of entries, and how the bucket is configured."""
        await self._bucket.open()
        return await self._bucket.status()

    @_deferred
    async def get(self, key: str, revision: int | None = None) -> Entry:
        """
        The entry of a key.

        Any server that has the bucket answers, unless the bucket says otherwise. In a cluster this may be one that does
        not have the last change yet.

        :param revision: which one; None: the last one.
        :raises KeyNotFoundError: the key has no value, or none of this revision.
        """
        check_key(key)
        found = await (self._bucket.last(key) if revision is None else self._bucket.at(revision))
        if found is None or found.key != key:
            raise KeyNotFoundError(self.bucket, key, revision)
        if found.is_deleted:
            raise KeyNotFoundError(self.bucket, key, found.revision)
        return found

    @_deferred
    async def put(self, key: str, value: object, *, ttl: float | None = None) -> int:
        """
        Set the value of a key.

        :param value: bytes are stored as they are, a string as UTF-8, anything else as JSON.
        :param ttl: seconds until the server removes the value, at least 1; None: as the bucket says. The history of the
            key is removed with it, since an older value would come back otherwise. The bucket must allow it. If it has
            a ``history`` and a ``limit_marker_ttl``, the server keeps the value for at least ``limit_marker_ttl``.
        :return: the revision.
        """
        return await self._store(key, payloads.to_bytes(value), self._ttl(ttl, rolls_up=True))

    @_deferred
    async def create(self, key: str, value: object, *, ttl: float | None = None) -> int:
        """
        Set the value of a key that has none.

        :param value: as for :meth:`put`.
        :param ttl: as for :meth:`put`.
        :return: the revision.
        :raises KeyExistsError: the key has a value.
        """
        check_key(key)
        data, headers = payloads.to_bytes(value), self._ttl(ttl)
        expected = 0
        for attempt in range(_CREATE_ATTEMPTS):
            try:
                return await self._store(key, data, {**headers, _EXPECTED: str(expected)})
            except WrongLastSequenceError:
                found = await self._bucket.last(key)
                if found is not None and not found.is_deleted:
                    raise KeyExistsError(self.bucket, key, found.revision) from None
                if attempt == _CREATE_ATTEMPTS - 1:
                    raise
                expected = 0 if found is None else found.revision
        raise AssertionError("the last attempt raises")

    @_deferred
    async def update(self, key: str, value: object, revision: int, *, ttl: float | None = None) -> int:
        """
        Set the value of a key, unless somebody else has changed it meanwhile.

        :param value: as for :meth:`put`.
        :param revision: the revision that you know of; 0: the key never was there.
        :param ttl: as for :meth:`put`.
        :return: the new revision.
        :raises WrongLastSequenceError: the key has another revision.
        """
        headers = {**self._ttl(ttl, rolls_up=True), _EXPECTED: str(_checked(revision))}
        return await self._store(key, payloads.to_bytes(value), headers)

    @_deferred
    async def delete(self, key: str, revision: int | None = None) -> int:
        """
        Delete the value of a key, and keep its history. It is no error if there is no value.

        :param revision: delete it only if this is its last revision; None: in any case.
        :return: the revision of the mark.
        :raises WrongLastSequenceError: the key has another revision.
        """
        return await self._mark(key, DELETE, revision, {})

    @_deferred
    async def purge(self, key: str, revision: int | None = None, *, ttl: float | None = None) -> int:
        """
        Delete the value of a key, and its history. It is no error if there is no value.

        :param revision: as for :meth:`delete`.
        :param ttl: seconds until the server removes the mark that the key was deleted, too, at least 1; None: never. A
            watch that does not run at that time does not learn of it.
        :return: the revision of the mark.
        :raises WrongLastSequenceError: the key has another revision.
        """
        return await self._mark(key, PURGE, revision, {**self._ttl(ttl), **_ROLLUP})

    def watch(
        self,
        on_entry: OnEntry,
        *patterns: str,
        history: bool = False,
        updates_only: bool = False,
        ignore_deletes: bool = False,
        meta_only: bool = False,
    ) -> Watch:
        """
        Watch the changes of keys, beginning with what is in the bucket.

        :param on_entry: called in the reactor thread with each entry, in the order of revisions. If it returns a
            Deferred, the next entry follows when that has fired. An exception is logged.
        :param patterns: watch the keys that match one of them, such as ``calls.*`` or ``calls.>``; none: all keys.
        :param history: begin with all revisions that are kept; otherwise with the last one of each key.
        :param updates_only: begin with the next change.
        :param ignore_deletes: leave out the marks that a key was deleted.
        :param meta_only: leave out the values, which are empty then.
        :return: the watch. It goes on until its :meth:`~natsroute.jetstream.key_value.watch.Watch.stop`, and survives
            reconnects: each entry comes once. Of a key that changed several times while there was no connection, the
            entries that the bucket still has come. The bucket is looked up first; if that fails, so does
            :meth:`~natsroute.jetstream.key_value.watch.Watch.caught_up`.
        :raises SubjectError: a pattern is invalid.
        """
        options = WatchOptions(
            patterns=tuple(check_key_pattern(pattern) for pattern in patterns) or (">",),
            history=history,
            updates_only=updates_only,
            meta_only=meta_only,
        )
        watch = Watch(on_entry, ignore_deletes=ignore_deletes)
        self._bucket.watch(watch, options)
        return watch

    @_deferred
    async def keys(self, *patterns: str) -> list[str]:
        """
        The keys that have a value, in the order of their last changes.

        :param patterns: only keys that match one of them; none: all keys.
        """
        found: dict[str, None] = {}

        def on_entry(entry: Entry) -> None:
            found.pop(entry.key, None)
            if not entry.is_deleted:
                found[entry.key] = None

        await read_all(self.watch(on_entry, *patterns, meta_only=True), self._bucket.clock)
        return list(found)

    @_deferred
    async def history(self, key: str) -> list[Entry]:
        """
        All entries of a key that are kept, the oldest first: values, and marks that it was deleted.

        :raises KeyNotFoundError: there are none.
        """
        found: list[Entry] = []
        await read_all(self.watch(found.append, check_key(key), history=True), self._bucket.clock)
        if not found:
            raise KeyNotFoundError(self.bucket, key)
        return found

    async def _mark(self, key: str, operation: str, revision: int | None, headers: dict[str, str]) -> int:
        if revision is not None:
            headers[_EXPECTED] = str(_checked(revision))
        return await self._store(key, b"", {OPERATION: operation, **headers})

    async def _store(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        return await self._bucket.store(check_key(key), value, headers)

    def _ttl(self, ttl: float | None, *, rolls_up: bool = False) -> dict[str, str]:
        """The headers for a TTL."""
        if ttl is None:
            return {}
        if not ttl >= 1:
            raise BucketConfigError(f"ttl = {ttl!r}: it must be at least 1 second")
        milliseconds = round(ttl * 1000)
        text = f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"
        return {TTL: text, **(_ROLLUP if rolls_up else {})}


def _checked(revision: int) -> int:
    if type(revision) is not int or revision < 0:
        raise BucketConfigError(f"{revision!r} is not a revision")
    return revision
