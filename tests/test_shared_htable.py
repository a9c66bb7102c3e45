"""natsroute.daemon.sending.shared_htable; tests.integration has the same with a server"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.daemon.sending.shared_htable import MAX_WRITES, SharedHtable
from natsroute.errors import ConnectionLostError, PayloadTooLargeError, PermissionsError, RequestTimeoutError
from natsroute.jetstream.errors import BucketNotFoundError, JetStreamUnavailableError, MessageTooLargeError
from natsroute.jetstream.key_value.config import BucketStatus
from natsroute.jetstream.key_value.memory import MemoryBucket
from natsroute.jetstream.key_value.watch import Watch
from natsroute.kamailio.tables import HashTable
from tests.support.log_recorder import LogRecorder


class RemoteBucket(MemoryBucket):
    """
    A bucket with a network between it and its user.

    :ivar stored: each write: its key, its value and its headers.
    :ivar errors: what the next writes fail with; if a connection is lost, they are stored all the same.
    :ivar opening: what the next attempts to open it fail with.
    :ivar opened: attempts to open it.
    :ivar allows_ttl: whether entries may have a TTL.
    :ivar held: acknowledgements that are on their way, if it is not None.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.stored: list[tuple[str, bytes, dict[str, str]]] = []
        self.errors: list[Exception] = []
        self.held: list[Deferred[None]] | None = None
        self.opening: list[Exception] = []
        self.allows_ttl = True
        self.opened = 0
        self._ids: dict[str, int] = {}

    async def open(self) -> None:
        self.opened += 1
        if self.opening:
            raise self.opening.pop(0)

    async def status(self) -> BucketStatus:
        return attrs.evolve(await super().status(), allows_ttl=self.allows_ttl)

    async def store(self, key: str, value: bytes, headers: Mapping[str, str]) -> int:
        self.stored.append((key, value, dict(headers)))
        error = self.errors.pop(0) if self.errors else None
        if error is not None and not isinstance(error, ConnectionLostError):
            raise error
        message_id = headers.get("Nats-Msg-Id", "")
        if message_id not in self._ids or not message_id:
            self._ids[message_id] = await super().store(key, value, headers)
        if error is not None:
            raise error
        if self.held is not None:
            held: Deferred[None] = Deferred()
            self.held.append(held)
            await held
        return self._ids[message_id]


class SharedHtableTests(SynchronousTestCase):
    """Two instances with one bucket."""

    def setUp(self) -> None:
        self.recorder = LogRecorder(self)
        self.clock = Clock()
        self.clock.advance(1000)
        self.bucket = RemoteBucket("b", self.clock)
        self.one, self.other = self.instance(), self.instance()

    def instance(self, **definition: Any) -> SharedHtable:
        """An instance that has taken over the bucket."""
        thread = ReactorThread(lambda function: function())
        thread.start()
        htable = SharedHtable("calls", self.bucket, self.clock, thread)
        htable.table._now = self.clock.seconds
        htable.define_as(HashTable(**definition))
        self.successResultOf(htable.load())
        return htable

    def log_texts(self) -> list[str]:
        """What was logged."""
        return self.recorder.matching("htable")

    def put(self, key: str, value: bytes, **headers: str) -> int:
        """Another program writes to the bucket."""
        return int(self.successResultOf(Deferred.fromCoroutine(MemoryBucket.store(self.bucket, key, value, headers))))

    def entries(self, htable: SharedHtable) -> dict[bytes, int | bytes]:
        """What its table has."""
        return dict(htable.table.entries())

    def test_changes(self) -> None:
        """What one changes, the other has, with its type."""
        self.one.table.set(b"sip:a@b", 5)
        self.one.table.set(b"b", b"5")
        self.one.table.set(b"c", b"\x00\xff")
        self.assertEqual(self.entries(self.other), {b"sip:a@b": 5, b"b": b"5", b"c": b"\x00\xff"})
        self.assertEqual(self.other.table.add(b"sip:a@b", 2), 7)
        self.other.table.delete(b"b")
        self.assertEqual(self.entries(self.one), {b"sip:a@b": 7, b"c": b"\x00\xff"})
        self.one.table.clear()
        self.assertEqual((self.entries(self.one), self.entries(self.other)), ({}, {}))

    def test_start(self) -> None:
        """A new instance has what is there."""
        self.one.table.set(b"a", 1)
        self.one.table.set(b"b", 1)
        self.one.table.delete(b"b")
        self.assertEqual(self.entries(self.instance()), {b"a": 1})

    def test_other_programs(self) -> None:
        """Their values are strings, unless a header says more."""
        self.put("a", b"5")
        self.put("b", b"-5", **{"Natsroute-Type": "integer"})
        self.put("c", b"x", **{"Natsroute-Type": "integer"})
        self.assertEqual(self.entries(self.one), {b"a": b"5", b"b": -5, b"c": b"x"})

    def test_expiry(self) -> None:
        """It is that of the table that an entry was set in, and the same for all."""
        table = self.instance(expire=60).table
        table.set(b"a", 1)
        table.set(b"b", 1, 10)
        self.clock.advance(5)
        self.assertEqual([self.one.table.expires_in(name) for name in (b"a", b"b")], [55, 5])
        table.expire_in(b"a", 7)
        self.assertEqual(self.one.table.expires_in(b"a"), 7)
        table.expire_in(b"a", 0)
        self.assertEqual((self.one.table.expires_in(b"a"), self.bucket.stored[-1][2].get("Nats-TTL")), (0, None))
        self.clock.advance(6)
        self.assertEqual([self.one.table.get(name) for name in (b"a", b"b")], [1, None])
        later = self.instance(expire=60)
        self.assertEqual(self.entries(later), {b"a": 1})

    def test_the_last_value_is_written(self) -> None:
        """While an entry is being written, it may change several times; each write waits for the one before."""
        self.bucket.held = []
        for number in range(5):
            self.one.table.set(b"a", number)
        self.one.table.set(b"b", 0)
        self.assertEqual([value for _, value, _ in self.bucket.stored], [b"0", b"0"])
        self.bucket.held.pop(0).callback(None)
        self.assertEqual([value for _, value, _ in self.bucket.stored], [b"0", b"0", b"4"])
        written = self.one.written()
        self.assertNoResult(written)
        while self.bucket.held:
            self.bucket.held.pop(0).callback(None)
        self.successResultOf(written)
        self.assertEqual((self.one.unwritten, self.entries(self.other)), (0, {b"a": 4, b"b": 0}))

    def test_many(self) -> None:
        """A bounded number of writes is on its way."""
        self.bucket.held = []
        for number in range(MAX_WRITES + 10):
            self.one.table.set(b"%d" % number, number)
        self.assertEqual((len(self.bucket.stored), self.one.unwritten), (MAX_WRITES, MAX_WRITES + 10))
        while self.bucket.held:
            self.bucket.held.pop(0).callback(None)
        self.assertEqual(self.entries(self.other), self.entries(self.one))

    def test_both_change_an_entry(self) -> None:
        """The last change that was stored wins, whatever is known first: the acknowledgement or the other change."""
        self.bucket.held = []
        self.one.table.set(b"a", 1)
        self.put("a", b"theirs")
        self.assertEqual((self.one.table.get(b"a"), self.other.table.get(b"a")), (1, b"theirs"))
        self.bucket.held.pop(0).callback(None)
        self.assertEqual(self.one.table.get(b"a"), b"theirs")

    def test_both_change_an_entry_and_we_are_later(self) -> None:
        self.bucket.held = []
        self.one.table.set(b"a", 1)
        self.put("a", b"theirs")
        self.one.table.set(b"a", 2)
        while self.bucket.held:
            self.bucket.held.pop(0).callback(None)
        self.assertEqual((self.one.table.get(b"a"), self.other.table.get(b"a")), (2, 2))

    def test_an_acknowledgement_that_was_lost(self) -> None:
        """The write is sent again with its id: it does not undo what others have written since."""
        self.bucket.errors = [ConnectionLostError("gone")]
        self.one.table.set(b"a", 1)
        self.put("a", b"theirs")
        self.clock.advance(1)
        first, second = self.bucket.stored
        self.assertEqual(first, second)
        self.assertEqual((self.one.table.get(b"a"), self.other.table.get(b"a")), (b"theirs", b"theirs"))

    def test_an_acknowledgement_of_an_entry_that_expires_was_lost(self) -> None:
        """It is the same write, although it has less time left when it is sent again."""
        one = self.instance(expire=60)
        self.bucket.errors = [ConnectionLostError("gone")]
        one.table.set(b"a", 1)
        self.put("a", b"theirs")
        self.clock.advance(3)
        first, second = self.bucket.stored
        self.assertEqual((first[2]["Nats-TTL"], second[2]["Nats-TTL"]), ("60s", "57s"))
        self.assertEqual(first[2]["Nats-Msg-Id"], second[2]["Nats-Msg-Id"])
        self.assertEqual((one.table.get(b"a"), self.other.table.get(b"a")), (b"theirs", b"theirs"))

    def test_a_change_after_an_acknowledgement_that_was_lost(self) -> None:
        """It is another write, even with the same value."""
        self.bucket.errors = [ConnectionLostError("gone")]
        self.one.table.set(b"a", 1)
        self.put("a", b"theirs")
        self.one.table.set(b"a", 1)
        self.clock.advance(1)
        self.assertEqual((self.one.table.get(b"a"), self.other.table.get(b"a")), (1, 1))

    def test_outage(self) -> None:
        """Changes are kept, the last of each entry, and written later; the log has one line."""
        self.bucket.errors = [RequestTimeoutError("a", 5, was_sent=False) for _ in range(3)]
        self.one.table.set(b"a", 1)
        self.assertIsInstance(self.one.problem, RequestTimeoutError)
        for number in (2, 3):
            self.one.table.set(b"a", number)
            self.one.table.set(b"b", number)
        self.assertEqual((len(self.bucket.stored), self.entries(self.one)), (1, {b"a": 3, b"b": 3}))
        self.clock.pump([0.5] * 20)
        self.assertEqual((self.entries(self.other), self.one.problem), ({b"a": 3, b"b": 3}, None))
        warning, again = self.log_texts()
        self.assertIn("htable calls cannot be written to its bucket", warning)
        self.assertIn("the same again", again)

    def test_a_server_that_refuses_the_subject(self) -> None:
        """The change is kept until the server allows it."""
        self.bucket.errors = [PermissionsError("Permissions Violation for Publish to x", "publish", "x", None)]
        self.one.table.set(b"a", 1)
        self.assertEqual(self.one.unwritten, 1)
        self.assertIsInstance(self.one.problem, PermissionsError)
        self.clock.advance(1)
        self.assertEqual((self.entries(self.other), self.one.unwritten), ({b"a": 1}, 0))

    def test_written_while_it_is_loaded_again(self) -> None:
        """The bucket has an entry only since the watch began: it is not taken for one that was deleted meanwhile."""
        self.bucket.held = []
        self.one.table.set(b"a", 1)
        watches: list[Watch] = []
        self.patch(self.bucket, "watch", lambda watch, options: watches.append(watch))
        self.one.load_again()
        self.bucket.held.pop(0).callback(None)
        [watch] = watches
        watch.has_caught_up()
        entry = self.successResultOf(Deferred.fromCoroutine(self.bucket.last("a")))
        assert entry is not None
        watch.hand_over(entry)
        self.assertEqual(self.one.table.get(b"a"), 1)

    def test_a_connection_that_is_back(self) -> None:
        """Nothing waits for the time of the next attempt."""
        self.bucket.errors = [RequestTimeoutError("a", 5, was_sent=False)]
        self.one.table.set(b"a", 1)
        self.one.retry_now()
        self.clock.advance(0)
        self.assertEqual(self.entries(self.other), {b"a": 1})
        self.one.retry_now()

    def test_a_change_that_is_refused(self) -> None:
        """It is undone, so that all instances have the same."""
        self.put("a", b"theirs")
        for error in (PayloadTooLargeError(9, 8), MessageTooLargeError("too large", 400, 10054)):
            self.bucket.errors = [error]
            self.one.table.set(b"a", b"too large")
            self.assertEqual(self.one.table.get(b"a"), b"theirs")
        self.bucket.errors = [PayloadTooLargeError(9, 8)]
        self.one.table.set(b"b", b"too large")
        self.assertIsNone(self.one.table.get(b"b"))
        self.assertEqual(len(self.log_texts()), 3)

    def test_no_bucket(self) -> None:
        """It is looked for until it is there, and changes wait for that."""
        thread = ReactorThread(lambda function: function())
        thread.start()
        htable = SharedHtable("calls", self.bucket, self.clock, thread)
        htable.table.set(b"mine", 1)
        self.bucket.opening = [BucketNotFoundError("b"), JetStreamUnavailableError("nothing answers", 503)]
        loaded = htable.load()
        self.assertNoResult(loaded)
        self.assertIsInstance(htable.problem, BucketNotFoundError)
        self.put("a", b"1")
        self.clock.pump([0.5, 1.0])
        self.successResultOf(loaded)
        self.assertEqual(self.entries(htable), {b"a": b"1", b"mine": 1})
        self.assertEqual(self.entries(self.one), {b"a": b"1", b"mine": 1})
        self.assertEqual(len(self.log_texts()), 3)

    def test_restart(self) -> None:
        """What was deleted meanwhile goes; what was changed here meanwhile is written."""
        self.one.table.set(b"a", 1)
        self.one.table.set(b"b", 1)
        self.one.stop()
        self.one.table.set(b"c", 1)
        self.other.table.delete(b"a")
        self.other.table.set(b"b", 2)
        self.assertEqual(self.entries(self.one), {b"a": 1, b"b": 1, b"c": 1})
        self.successResultOf(self.one.load())
        self.assertEqual(self.entries(self.one), {b"b": 2, b"c": 1})
        self.assertEqual(self.entries(self.other), {b"b": 2, b"c": 1})

    def test_after_a_long_absence(self) -> None:
        """The bucket is taken over once more; whoever waits for an earlier attempt is told."""
        self.bucket.opening = [BucketNotFoundError("b")]
        loading = self.one.load()
        self.one.table.set(b"a", 1)
        self.put("b", b"2")
        self.one.load_again()
        self.failureResultOf(loading, CancelledError)
        self.assertEqual(self.entries(self.other), {b"a": 1, b"b": b"2"})
        self.assertEqual(self.entries(self.one), {b"a": 1, b"b": b"2"})

    def test_stop_during_an_outage(self) -> None:
        self.bucket.errors = [RequestTimeoutError("a", 5, was_sent=False)]
        self.one.table.set(b"a", 1)
        self.one.stop()
        self.clock.advance(60)
        self.assertEqual((len(self.bucket.stored), self.one.unwritten), (1, 1))

    def test_a_bucket_that_keeps_everything(self) -> None:
        """Without TTL, the log says that entries expire in memory only."""
        self.bucket.allows_ttl = False
        table = self.instance(expire=60).table
        self.assertIn("no allow_msg_ttl", self.log_texts()[0])
        table.set(b"a", 1)
        self.assertNotIn("Nats-TTL", self.bucket.stored[-1][2])

    def test_threads(self) -> None:
        """A script in a thread changes the table there, and the bucket in the reactor thread."""
        calls: list[Any] = []
        htable = SharedHtable("calls", self.bucket, self.clock, ReactorThread(calls.append))
        self.successResultOf(htable.load())
        htable.table.set(b"a", 1)
        self.assertEqual((htable.table.get(b"a"), self.bucket.stored), (1, []))
        for call in calls:
            call()
        self.assertEqual(self.entries(self.other), {b"a": 1})
        self.assertEqual(repr(htable), "<SharedHtable calls=b>")
