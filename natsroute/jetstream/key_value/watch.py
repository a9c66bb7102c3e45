"""Watching the changes of a key-value bucket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from natsroute.jetstream.errors import NoApiAnswerError
from natsroute.jetstream.key_value.entry import Entry
from natsroute.jetstream.management.configs import DeliverPolicy
from natsroute.log import Logger
from natsroute.wire.subjects import overlaps

#: Seconds without an entry after which what reads a bucket gives up.
_SILENCE = 5.0

#: Called with each entry, one after the other: with the next one when its Deferred has fired, if it returns one.
OnEntry = Callable[[Entry], "Deferred[Any] | None"]


@attrs.frozen(kw_only=True)
class WatchOptions:
    """
    What a watch begins with.

    :ivar patterns: the keys: each matches one of these patterns.
    :ivar history: begin with all revisions that are kept, and not with the last one of each key.
    :ivar updates_only: begin with the next change.
    :ivar meta_only: entries come without their values.
    """

    patterns: tuple[str, ...] = (">",)
    history: bool = False
    updates_only: bool = False
    meta_only: bool = False

    def matches(self, key: str) -> bool:
        """Whether a key is one of those."""
        return any(overlaps(pattern, key) for pattern in self.patterns)

    @property
    def deliver_policy(self) -> DeliverPolicy:
        """Where the consumer of the stream begins."""
        return "new" if self.updates_only else "all" if self.history else "last_per_subject"


class Watch:
    """
    A watch. It survives reconnects and restarts of the server: it goes on behind the last entry that it has had.

    :ivar revision: that of the last entry; 0 before the first one.
    :ivar received: the number of entries so far.
    :ivar is_caught_up: whether it has had everything that was in the bucket when it began.
    :ivar problem: why the bucket cannot be read at the moment, or None.
    """

    log = Logger()

    def __init__(self, on_entry: OnEntry, *, ignore_deletes: bool = False) -> None:
        self.revision = self.received = 0
        self.problem: Exception | None = None
        self.is_caught_up = False
        self._on_entry = on_entry
        self._ignore_deletes = ignore_deletes
        self._stop: Callable[[], object] | None = None
        self._stopped: Exception | None = None
        self._waiting: list[Deferred[None]] = []

    def caught_up(self) -> Deferred[None]:
        """
        Wait for everything that was in the bucket when the watch began.

        :return: fires when ``on_entry`` has been called for all of it. Fails if the watch ends first: with what has
            ended it, or with :class:`~twisted.internet.defer.CancelledError` if that was :meth:`stop`. Cancelling it
            ends the wait only.
        """
        if self.is_caught_up:
            return succeed(None)
        if self._stopped is not None:
            return fail(self._stopped)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def stop(self) -> None:
        """Call ``on_entry`` no more."""
        self.failed(CancelledError("the watch was stopped"))

    # -- for what watches ---------------------------------------------------------------------------------------------

    @property
    def stopped(self) -> bool:
        """Whether it has ended."""
        return self._stopped is not None

    def started(self, stop: Callable[[], object]) -> None:
        """
        It runs.

        :param stop: ends it.
        """
        if self.stopped:
            stop()
        else:
            self._stop = stop

    def failed(self, error: Exception) -> None:
        """It cannot go on."""
        if self.stopped:
            return
        self._stopped = error
        if self._stop is not None:
            self._stop()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.errback(error)

    def hand_over(self, entry: Entry) -> Deferred[Any] | None:
        """There is an entry. The next one follows when the Deferred has fired, if there is one; it never fails."""
        if self.stopped:
            return None
        self.received += 1
        self.revision = max(self.revision, entry.revision)
        if self._ignore_deletes and entry.is_deleted:
            return None
        try:
            busy = self._on_entry(entry)
        except Exception:
            self._has_failed(entry, Failure())
            return None
        return None if busy is None else busy.addErrback(lambda failure: self._has_failed(entry, failure))

    def _has_failed(self, entry: Entry, failure: Failure) -> None:
        self.log.failure(
            "on_entry of a watch failed for key {key} of bucket {bucket}", failure, key=entry.key, bucket=entry.bucket
        )

    def has_caught_up(self) -> None:
        """Everything that was in the bucket has been received."""
        self.is_caught_up = True
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)


async def read_all(watch: Watch, clock: IReactorTime) -> None:
    """
    Wait until a watch has had everything that was in the bucket when it began, and stop it.

    :raises NoApiAnswerError: nothing has come for a while. If more is known, another error says it.
    """
    seen = -1

    def look() -> None:
        nonlocal seen
        if watch.received == seen:
            watch.failed(watch.problem or NoApiAnswerError("its stream", f"nothing in {_SILENCE:g} s"))
        seen = watch.received

    looking = LoopingCall(look)
    looking.clock = clock
    looking.start(_SILENCE, now=False)
    try:
        await watch.caught_up()
    finally:
        looking.stop()
        watch.stop()
