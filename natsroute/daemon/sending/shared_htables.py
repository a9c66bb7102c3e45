"""The htables of a service that are kept in key-value buckets: when they are loaded, written and left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime

from natsroute.client.connection import Connection
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.daemon.sending.key_values import KeyValues
from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.daemon.sending.shared_htable import MARK_TTL, SharedHtable
from natsroute.daemon.settings.htable_entry import HtableEntry
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.kamailio.tables import HashTable, TableStore

#: A bucket that is created for an htable. Its marks let the routes on its changes see what expires.
CONFIG = BucketConfig(limit_marker_ttl=60.0)


class SharedHtables:
    """
    The shared htables of a service.

    :param entries: those of the settings.
    :param key_values: gives their buckets.
    :param thread: knows the reactor thread.
    :param create: whether buckets that are missing are created.
    :param start: starts the connections that the buckets need.
    """

    def __init__(
        self,
        entries: Sequence[HtableEntry],
        key_values: KeyValues,
        clock: IReactorTime,
        thread: ReactorThread,
        *,
        create: bool,
        start: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._start = start
        self._lost: float | None = None  # when the connection of the watches was lost
        self._all: dict[bytes, SharedHtable] = {}
        for entry in entries:
            bucket = key_values.bucket(entry.bucket, CONFIG if create else None)
            self._all[entry.name.encode("utf-8", "surrogateescape")] = SharedHtable(entry.name, bucket, clock, thread)

    def __iter__(self) -> Iterator[SharedHtable]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def share(self, name: bytes, table: HashTable) -> TableStore:
        """The table that scripts use for one of a ``kamailio.cfg``: itself, unless it is shared."""
        htable = self._all.get(name)
        return table if htable is None else htable.define_as(table)

    @property
    def problems(self) -> Iterator[tuple[str, str]]:
        """For each htable that cannot be loaded: what it is called, and why as a sentence."""
        for htable in self:
            if htable.problem is not None and not htable.is_loaded:
                yield f"htable {htable.label}", f"cannot be loaded: {htable.problem}"

    def load(self) -> Deferred[None]:
        """
        Take over what is in the buckets.

        :return: fires when the tables have it. Until there is a server with the buckets, that does not happen.
            Cancelling it ends the attempts.
        """
        if not self._all:
            return succeed(None)
        self._start()
        return gatherResults([htable.load() for htable in self], consumeErrors=True).addCallback(lambda _: None)

    def stop(self, timeout: float) -> Deferred[None]:
        """
        Wait until the buckets have all changes, and end.

        :param timeout: seconds to wait at most.
        :return: fires then; never fails.
        """
        written = gatherResults([htable.written() for htable in self], consumeErrors=True)
        return written.addTimeout(timeout, self._clock).addBoth(self._stopped)

    def _stopped(self, _: object) -> None:
        for htable in self:
            htable.stop()
            if htable.unwritten:
                htable.log_unwritten()

    def observe(self, writes: Connection, watches: Connection) -> None:
        """
        Have the connections observed.

        :param writes: that of the changes that are written.
        :param watches: that of the watches.
        """
        writes.observe(self._on_writes)
        watches.observe(self._on_watches)

    def _on_writes(self, change: Change) -> None:
        if change.event is ConnectionEvent.CONNECTED:
            for htable in self:
                htable.retry_now()

    def _on_watches(self, change: Change) -> None:
        if change.event is ConnectionEvent.DISCONNECTED:
            self._lost = self._clock.seconds()
        elif change.event is ConnectionEvent.CONNECTED and self._lost is not None:
            away, self._lost = self._clock.seconds() - self._lost, None
            if away >= MARK_TTL / 2:
                for htable in self:
                    htable.load_again()
