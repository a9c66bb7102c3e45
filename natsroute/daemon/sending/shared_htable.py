"""
One htable of Kamailio scripts that is kept in a key-value bucket, so that all instances share it.

Scripts read from memory, and see their own changes at once. A change is written to the bucket soon, one after the other
for each entry; if an entry changes several times meanwhile, the last value is written. What others write arrives by a
watch. The last change that the bucket has stored wins.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from secrets import token_hex

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.errors import ConnectionLostError, MisuseError, NatsrouteError, RequestError
from natsroute.jetstream.errors import JetStreamError, MessageTooLargeError, MessageTtlError
from natsroute.jetstream.key_value.bucket import Bucket
from natsroute.jetstream.key_value.entry import TTL, Entry
from natsroute.jetstream.key_value.watch import Watch, WatchOptions
from natsroute.kamailio.shared_tables import SharedTable
from natsroute.kamailio.table_keys import key_of_name, name_of_key
from natsroute.kamailio.tables import HashTable
from natsroute.kamailio.values import parse_integer
from natsroute.log import Logger
from natsroute.wire.headers import MESSAGE_ID
from natsroute.wire.key_value import OPERATION, PURGE

#: The header that says that a value is an integer. A value without it is a string.
TYPE, INTEGER = "Natsroute-Type", "integer"
#: Seconds that the mark of a deleted entry is kept. An instance that has been away for longer begins anew.
MARK_TTL = 86_400
#: Writes that wait for their acknowledgement.
MAX_WRITES = 256
#: Seconds until what could not be written or read is tried again: at first, and at most.
RETRY, MAX_RETRY = 0.5, 10.0

_State = tuple["int | bytes", int]


@attrs.define
class _Write:
    """
    A write of an entry.

    :ivar state: what is written; None deletes the entry.
    :ivar message_id: by which the stream knows it again.
    """

    state: _State | None
    message_id: str


class SharedHtable:
    """
    Keeps a table and a bucket the same.

    :param name: the name of the table.
    :param bucket: where its entries are.
    :param clock: the reactor.
    :param thread: knows the reactor thread.

    :ivar table: the table.
    :ivar is_loaded: whether the table has what is in the bucket.
    :ivar problem: why it is not as the bucket is, or None.
    """

    log = Logger()

    def __init__(self, name: str, bucket: Bucket, clock: IReactorTime, thread: ReactorThread) -> None:
        self.name = name
        self.table = SharedTable(self._on_change)
        self.problem: NatsrouteError | None = None
        self._bucket = bucket
        self._clock = clock
        self._thread = thread
        self._allows_ttl = True
        self._id = token_hex(8)
        self._numbers = count()
        # By the name of the entry: what is to be written, what is being written (and whether it has changed again),
        # what was written without an answer, what others have written meanwhile, and revisions of our own that the
        # watch has not had yet.
        self._dirty: OrderedDict[bytes, None] = OrderedDict()
        self._writing: dict[bytes, bool] = {}
        self._unanswered: dict[bytes, _Write] = {}
        self._newer: dict[bytes, Entry] = {}
        self._own: dict[bytes, int] = {}
        self._watch: Watch | None = None
        self._seen: set[bytes] = set()  # what the watch has had
        self._position = 0  # its last revision
        self.is_loaded = False
        self._loading: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self._retry_in = RETRY
        self._idle: list[Deferred[None]] = []

    def __repr__(self) -> str:
        return f"<SharedHtable {self.label}>"

    @property
    def label(self) -> str:
        """The name of the table, and the bucket."""
        return f"{self.name}={self._bucket.name}"

    @property
    def unwritten(self) -> int:
        """Entries whose last change the bucket does not have yet."""
        return len(self._dirty) + len(self._writing)

    def define_as(self, table: HashTable) -> SharedTable:
        """The table, with the definition of another one."""
        self.table.define_as(table)
        return self.table

    # -- start and stop ---------------------------------------------------------------------------------------------

    def load(self) -> Deferred[None]:
        """
        Take over everything that is in the bucket. Changes wait until that is done.

        :return: fires then. Until there is a bucket, it is tried again. It is cancelled by a :meth:`stop`.
        """
        self.stop()
        loading = self._loading = Deferred.fromCoroutine(self._load())
        return loading

    async def _load(self) -> None:
        wait = RETRY
        while True:
            try:
                await self._bucket.open()
                self._allows_ttl = (await self._bucket.status()).allows_ttl
                await self._begin_watch().caught_up()
                break
            except (JetStreamError, RequestError, ConnectionLostError) as error:
                self._has_problem(error, "cannot be loaded, which is tried again")
            await deferLater(self._clock, wait)
            wait = min(2 * wait, MAX_RETRY)
        if self.table.definition[0] and not self._allows_ttl:
            self.log.warn(
                "htable {htable} has autoexpire, but the stream of bucket {bucket} has no allow_msg_ttl: entries "
                "expire in the memory of this process only, and not in the bucket",
                htable=self.name,
                bucket=self._bucket.name,
            )
        for name in self.table.names():
            if name not in self._seen and name not in self._own and not self._is_ours(name):
                self.table.drop(name)  # it was deleted while nobody watched
        self._seen.clear()
        self.is_loaded = True
        self._is_solved()
        self._write_more()

    def load_again(self) -> None:
        """Do so once more: the marks of what was deleted meanwhile may be gone."""
        self.load().addErrback(lambda failure: failure.trap(CancelledError))

    def log_unwritten(self) -> None:
        """Say what the bucket does not have."""
        self.log.error(
            "htable {htable}: the last changes of {count} entries are not in its bucket",
            htable=self.name,
            count=self.unwritten,
        )

    def stop(self) -> None:
        """Learn of no more changes, and write none. The table stays as it is."""
        self.is_loaded = False
        if self._loading is not None:
            self._loading.cancel()
        if self._watch is not None:
            self._watch.stop()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def retry_now(self) -> None:
        """There is a connection again."""
        if self._retry is not None:
            self._retry.reset(0)

    def written(self) -> Deferred[None]:
        """Wait for the changes; fires when the bucket has all of them. Cancelling it ends the wait."""
        if not self.unwritten:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._idle.remove)
        self._idle.append(waiting)
        return waiting

    # -- from the bucket ----------------------------------------------------------------------------------------------

    def _begin_watch(self) -> Watch:
        self._seen.clear()
        self._newer.clear()
        self._own.clear()
        self._position = 0
        watch = self._watch = Watch(self._on_entry)
        self._bucket.watch(watch, WatchOptions())
        return watch

    def _on_entry(self, entry: Entry) -> None:
        name = name_of_key(entry.key)
        self._position = max(self._position, entry.revision)
        if not self.is_loaded:
            self._seen.add(name)
        if self._is_ours(name):
            self._newer[name] = entry
            return
        own = self._own.get(name, 0)
        if own <= entry.revision:
            self._own.pop(name, None)
        if own < entry.revision:
            self._apply(name, entry)

    def _is_ours(self, name: bytes) -> bool:
        """Whether the entry has a change that the bucket may not have."""
        return name in self._writing or name in self._dirty

    def _apply(self, name: bytes, entry: Entry | None) -> None:
        """Others have changed an entry."""
        if entry is None or entry.is_deleted:
            self.table.drop(name)
            return
        value: int | bytes = entry.value
        if entry.headers.get(TYPE) == INTEGER:
            number = parse_integer(entry.value)
            value = entry.value if number is None else number
        ttl = entry.ttl
        self.table.put(name, value, None if ttl is None else entry.created.timestamp() + ttl)

    # -- to the bucket ------------------------------------------------------------------------------------------------

    def _on_change(self, name: bytes) -> None:
        """A script has changed an entry, in any thread."""
        if self._thread.is_current:
            self._changed(name)
        else:
            self._thread.run(self._changed, name)

    def _changed(self, name: bytes) -> None:
        self._unanswered.pop(name, None)
        if name in self._writing:
            self._writing[name] = True
        else:
            self._dirty[name] = None
            self._write_more()

    def _write_more(self) -> None:
        while self._dirty and self.is_loaded and self._retry is None and len(self._writing) < MAX_WRITES:
            name, _ = self._dirty.popitem(last=False)
            self._writing[name] = False
            Deferred.fromCoroutine(self._write(name)).addBoth(self._has_written, name)

    async def _write(self, name: bytes) -> None:
        state = self.table.state(name)
        former = self._unanswered.pop(name, None)
        if former is None or (former.state is None) != (state is None):  # it may have expired meanwhile
            write = _Write(state, f"{self._id}.{next(self._numbers)}")
        else:  # the same, perhaps with less time left
            write = _Write(state, former.message_id)
        try:
            revision = await self._bucket.store(key_of_name(name), *self._message(write))
        except (MisuseError, MessageTooLargeError, MessageTtlError) as error:
            await self._refused(name, error)
        except NatsrouteError as error:
            if not self._writing[name]:
                self._unanswered[name] = write
                self._writing[name] = True
            self._pause(error)
        else:
            self._is_solved()
            self._stored(name, revision)

    def _message(self, write: _Write) -> tuple[bytes, dict[str, str]]:
        """The payload and the headers of a write."""
        headers = {MESSAGE_ID: write.message_id}
        if write.state is None:
            headers |= {OPERATION: PURGE, "Nats-Rollup": "sub"}
            value, seconds = b"", MARK_TTL
        else:
            content, seconds = write.state
            if isinstance(content, int):
                headers[TYPE] = INTEGER
            value = b"%d" % content if isinstance(content, int) else content
        if seconds and self._allows_ttl:
            headers[TTL] = f"{seconds}s"
        return value, headers

    def _stored(self, name: bytes, revision: int) -> None:
        newer = self._newer.pop(name, None)
        if self._writing[name]:
            return  # and what is written next is newer
        if newer is not None and newer.revision > revision:
            self._apply(name, newer)
        elif self._position < revision:
            self._own[name] = revision

    async def _refused(self, name: bytes, error: NatsrouteError) -> None:
        """The bucket never takes this change: have what the bucket has."""
        self.log.error(
            "htable {htable}: the bucket does not take a change of an entry, which is undone: {reason}",
            htable=self.name,
            reason=str(error),
        )
        try:
            found = await self._bucket.last(key_of_name(name))
        except NatsrouteError:
            found = None
        newer = self._newer.pop(name, None)
        if not self._writing[name]:
            self._apply(name, found if newer is None else newer)

    def _has_written(self, result: object, name: bytes) -> object:
        if self._writing.pop(name):
            self._dirty[name] = None
        self._write_more()
        if not self.unwritten:
            idle, self._idle = self._idle, []
            for one in idle:
                one.callback(None)
        return result

    def _pause(self, error: NatsrouteError) -> None:
        """Write nothing for a while."""
        self._has_problem(error, "cannot be written to its bucket. Changes are kept, and written later")
        if self.is_loaded and self._retry is None:
            self._retry = self._clock.callLater(self._retry_in, self._go_on)
            self._retry_in = min(2 * self._retry_in, MAX_RETRY)

    def _go_on(self) -> None:
        self._retry = None
        self._write_more()

    def _has_problem(self, error: NatsrouteError, what: str) -> None:
        if self.problem is None or type(self.problem) is not type(error):
            self.log.warn("htable {htable} {what}: {reason}", htable=self.name, what=what, reason=str(error))
        self.problem = error

    def _is_solved(self) -> None:
        self._retry_in = RETRY
        if self.problem is not None:
            self.problem = None
            self.log.info("htable {htable} and its bucket are the same again", htable=self.name)
