"""natsroute.publishing.publisher"""

from __future__ import annotations

import gc
import random
import tracemalloc
from threading import Thread
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from natsroute.confirmation import Confirmation
from natsroute.errors import (
    ConnectionLostError,
    HeaderError,
    PayloadError,
    PayloadTooLargeError,
    PermissionsError,
    PublishBufferFullError,
    PublishError,
    PublisherStoppedError,
    SettingError,
    SubjectError,
)
from natsroute.publishing.options import PublishLimits
from tests.support.log_recorder import LogRecorder
from tests.support.memory_publisher import PublisherTestCase

#: Arguments of a wrong type, the error that they lead to, and what its text names.
WRONG_TYPES: list[tuple[tuple[object, ...], type[Exception], str]] = [
    ((b"a", b""), SubjectError, "subject: it must be a string, not bytes"),
    ((None, b""), SubjectError, "subject: it must be a string, not NoneType"),
    ((["a"], b""), SubjectError, "subject: it must be a string, not list"),
    (("a", b"", b"r"), SubjectError, "reply: it must be a string or None, not bytes"),
    (("a", lambda: b"", 5), SubjectError, "reply: it must be a string or None, not int"),
    (("a", b"", None, [("N", "v")]), HeaderError, "headers: they must be a mapping or None, not list"),
    (("a", b"", None, "N: v"), HeaderError, "headers: they must be a mapping or None, not str"),
    (("a", b"", None, {"N": 5}), HeaderError, "header N: 5 must be a string"),
    (("a", b"", None, {5: "v"}), HeaderError, "header name 5"),
]


class ConfirmationTests(PublisherTestCase):
    """A Deferred fires when the server has the message."""

    def test_a_batch(self) -> None:
        """The messages of a turn go out in one write with one PING; its PONG confirms them all."""
        waits = [self.publisher.publish("a", b"%d" % number) for number in range(3)]
        self.assertEqual(self.link.written, [])
        self.clock.advance(0)
        self.assertEqual(self.link.written, [b"PUB a 1\r\n0\r\nPUB a 1\r\n1\r\nPUB a 1\r\n2\r\n"])
        self.assertNoResult(waits[0])
        self.pong()
        for wait in waits:
            self.assertIs(self.successResultOf(wait), None)
        self.assertEqual(self.counts(), (3, 3, 0, 0))

    def test_batches_follow_each_other(self) -> None:
        """A batch does not wait for the PONG of the one before."""
        first = self.publisher.publish("a", b"1")
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        second = self.publisher.publish("a", b"2")
        self.assertEqual(self.turn(), b"PUB a 1\r\n2\r\n")
        self.pong()
        self.successResultOf(first)
        self.assertNoResult(second)
        self.pong()
        self.successResultOf(second)

    def test_reply_and_headers(self) -> None:
        self.publisher.nats_publish("a", "grüße", "r", {"N": ["1", "2"]})
        self.assertEqual(self.turn(), "HPUB a r 24 31\r\nNATS/1.0\r\nN: 1\r\nN: 2\r\n\r\ngrüße\r\n".encode())

    def test_publish_in_a_callback(self) -> None:
        """A callback of the Deferred may publish."""
        self.publisher.publish("a", b"1").addCallback(lambda _: self.publisher.publish("a", b"2"))
        self.turn()
        self.pong()
        self.assertEqual(self.turn(), b"PUB a 1\r\n2\r\n")

    def test_sparse_traffic(self) -> None:
        """If the last batch was a single message and is confirmed, the next message is written at once."""
        self.publisher.publish("a", b"1")
        self.turn()
        self.pong()
        self.publisher.publish("a", b"2")
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n2\r\n")
        self.publisher.publish("a", b"3")
        self.publisher.publish("a", b"4")
        self.assertEqual(self.link.sent(), b"", "one is not confirmed yet, so the others are gathered")
        self.assertEqual(self.turn(), b"PUB a 1\r\n3\r\nPUB a 1\r\n4\r\n")
        self.pong()
        self.pong()
        self.publisher.publish("a", b"5")
        self.assertEqual(self.link.sent(), b"", "the last batch was of two")

    def test_a_refused_reply_subject(self) -> None:
        """The server drops the message, so its Deferred fails, with headers and without."""
        waits = [
            self.publisher.publish("a", b"1", reply="r"),
            self.publisher.publish("a", b"1", reply="r", headers={"N": "v"}),
            self.publisher.publish("a", b"1", reply="s"),
            self.publisher.publish("r", b"1"),
        ]
        self.turn()
        for _ in range(2):
            self.refuse('Permissions Violation for Publish with Reply of "r"')
        self.pong()
        self.failureResultOf(waits[0], PermissionsError)
        self.failureResultOf(waits[1], PermissionsError)
        self.successResultOf(waits[2])
        self.successResultOf(waits[3])

    def test_a_reply_subject_that_may_not_be_published_to(self) -> None:
        """The message with that reply subject is delivered, and confirmed."""
        delivered, refused = self.publisher.publish("a", b"1", reply="r"), self.publisher.publish("r", b"2")
        self.turn()
        self.refuse('Permissions Violation for Publish to "r"')
        self.pong()
        self.successResultOf(delivered)
        self.failureResultOf(refused, PermissionsError)

    def test_refused_under_another_name(self) -> None:
        """
        The server names the subject after the mappings of the account. The messages of the batch are sent again one by
        one, and only the refused one fails. A later one is not delayed.
        """
        waits = [self.publisher.publish(f"in.{name}", b"") for name in "abc"]
        once = self.publisher.publish("in.d", b"", policy="fail")
        self.turn()
        later = self.publisher.publish("in.e", b"")
        self.turn()
        self.refuse('Permissions Violation for Publish to "out.b"')
        self.pong()
        for wait in waits:
            self.assertNoResult(wait)
        error = self.failureResultOf(once, PublishError)
        self.assertIn('not certain which one: Permissions Violation for Publish to "out.b"', error.getErrorMessage())
        self.assertEqual(self.link.written, [b"PUB in.a 0\r\n\r\n", b"PUB in.b 0\r\n\r\n", b"PUB in.c 0\r\n\r\n"])
        self.pong()
        self.successResultOf(later)
        self.pong()
        self.successResultOf(waits[0])
        self.refuse('Permissions Violation for Publish to "out.b"')
        self.pong()
        self.failureResultOf(waits[1], PermissionsError)
        self.pong()
        self.successResultOf(waits[2])
        self.assertEqual(self.counts(), (5, 3, 3, 2))

    def test_a_callback_after_the_confirmation(self) -> None:
        """The Deferred has its result although it had no callbacks when it fired."""
        wait = self.publisher.publish("a", b"1")
        self.turn()
        self.pong()
        self.assertTrue(wait.called)
        self.assertIs(self.successResultOf(wait), None)

    def test_returned_from_a_callback(self) -> None:
        first: Deferred[None] = Deferred()
        first.addCallback(lambda _: self.publisher.publish("a", b"1"))
        first.callback(None)
        self.assertNoResult(first)
        self.turn()
        self.pong()
        self.successResultOf(first)

    def test_awaited(self) -> None:
        async def route() -> str:
            await self.publisher.publish("a", b"1")
            return "done"

        ended = Deferred.fromCoroutine(route())
        self.turn()
        self.assertNoResult(ended)
        self.pong()
        self.assertEqual(self.successResultOf(ended), "done")

    def test_a_refused_subject(self) -> None:
        """Only its Deferred fails; the PONG confirms the other messages of the batch."""
        refused, taken = self.publisher.publish("a", b"1"), self.publisher.publish("b", b"2")
        self.turn()
        error = self.refuse('Permissions Violation for Publish to "a"')
        self.pong()
        self.assertIs(self.failureResultOf(refused, PermissionsError).value, error)
        self.successResultOf(taken)
        later = self.publisher.publish("a", b"3")
        self.turn()
        self.pong()
        self.successResultOf(later)
        self.assertEqual(self.counts(), (3, 2, 0, 1))


class PoolTests(PublisherTestCase):
    """Callables are called in the pool; the order is kept."""

    def test_bytes_do_not_use_the_pool(self) -> None:
        self.publisher.publish("a", b"1")
        self.publisher.publish("a", "2")
        self.publisher.publish("a", {"n": 3})
        self.assertEqual(self.turn(), b'PUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 7\r\n{"n":3}\r\n')
        self.assertEqual(self.pool.work, [])

    def test_callables_and_json(self) -> None:
        self.publisher.publish("a", b"1")
        waits = [self.publisher.publish("a", lambda: "2"), self.publisher.publish("a", {"n": 3})]
        self.publisher.publish("a", lambda: {"n": 4})
        self.assertEqual(self.turn(), b"")
        self.publisher.publish("a", b"5")
        self.assertEqual(self.turn(), b"", "later messages wait for the pool")
        self.pool.run_next()
        self.clock.advance(0)
        self.assertEqual(
            self.link.sent(),
            b'PUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 7\r\n{"n":3}\r\nPUB a 7\r\n{"n":4}\r\nPUB a 1\r\n5\r\n',
        )
        self.pong()
        for wait in waits:
            self.successResultOf(wait)

    def test_a_callable_that_raises(self) -> None:
        """Its Deferred fails with the exception, and the others of the batch are sent."""
        raising = self.publisher.publish("a", lambda: 1 // 0)
        unwritable = self.publisher.publish("a", lambda: object())
        good = self.publisher.publish("a", b"1")
        self.turn()
        self.pool.run_next()
        self.failureResultOf(raising, ZeroDivisionError)
        self.failureResultOf(unwritable, PayloadError)
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(good)
        self.assertEqual(self.counts(), (3, 1, 0, 2))

    def test_too_large_once_serialised(self) -> None:
        large = self.publisher.publish("a", lambda: b"x" * 1025)
        self.turn()
        self.pool.run_next()
        error = self.failureResultOf(large, PayloadTooLargeError).value
        self.assertEqual((error.size, error.max_payload), (1025, 1024))

    def test_connection_lost_while_serialising(self) -> None:
        """The message is not lost, is serialised once, and stays before later ones."""
        calls: list[int] = []
        self.publisher.publish("a", lambda: calls.append(1) or b"1")
        self.turn()
        self.disconnect()
        self.publisher.publish("a", b"2")
        self.pool.run_next()
        self.assertEqual(self.turn(), b"")
        self.connect()
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\nPUB a 1\r\n2\r\n")
        self.assertEqual(calls, [1])

    def test_order_of_several_batches(self) -> None:
        """The oldest goes first, with functions and without."""
        self.disconnect()
        for payload in (lambda: b"1", b"2", lambda: b"3", b"4"):
            self.publisher.publish("a", payload)
            self.turn()
            self.clock.advance(self.limits.max_age / 10)  # too late for the same batch
        self.connect()
        sent = b""
        while self.pool.work:
            self.pool.run_next()
            sent += self.turn()
        self.assertEqual(sent, b"".join(b"PUB a 1\r\n%d\r\n" % number for number in (1, 2, 3, 4)))

    def test_order_behind_a_lost_connection(self) -> None:
        """What the pool returns without a connection goes back to the front of the queue."""
        self.publisher.publish("a", lambda: b"1")
        self.turn()
        self.disconnect()
        self.publisher.publish("a", b"2")
        self.turn()
        self.clock.advance(self.limits.max_age / 10)  # too late for the same batch
        self.publisher.publish("a", b"3")
        self.turn()
        self.pool.run_next()
        self.connect()
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\n")


class FixedPayloadTests(PublisherTestCase):
    """A payload is fixed when publish() returns."""

    def test_changed_afterwards(self) -> None:
        """What goes out is what was published."""
        record, data = {"n": 0}, bytearray(b"0")
        for number in range(1, 4):
            record["n"] = number
            data[0] = ord(str(number))
            self.publisher.publish("a", record)
            self.publisher.publish("a", data)
            self.publisher.publish("a", memoryview(data))
        record["n"] = data[0] = 9
        sent = b"".join(b'PUB a 7\r\n{"n":%d}\r\n' % n + b"PUB a 1\r\n%d\r\n" % n * 2 for n in (1, 2, 3))
        self.assertEqual(self.turn(), sent)

    def test_not_expressible_in_json(self) -> None:
        """It fails at once, whatever the object raises."""

        class Odd(bytearray):
            def __bytes__(self) -> bytes:
                raise ZeroDivisionError

        self.failureResultOf(self.publisher.publish("a", {"n": object()}), PayloadError)
        self.failureResultOf(self.publisher.publish("a", Odd()), ZeroDivisionError)
        self.assertEqual(self.counts(), (2, 0, 0, 2))


class RefusalTests(PublisherTestCase):
    """A message that cannot be sent fails at once, and nothing of it is written."""

    def test_invalid_messages(self) -> None:
        for message, error in [
            (("a b", b""), SubjectError),
            (("a.*", b""), SubjectError),
            (("a\r\nPUB b 0\r\n\r\n", b""), SubjectError),
            (("a b", {"json": 1}), SubjectError),
            (("a", b"", "r r"), SubjectError),
            (("a", b"", None, {"N": "a\r\nb"}), HeaderError),
            (("a", "\ud800"), PayloadError),
            (("a", b"x" * 1025), PayloadTooLargeError),
            (("a", b"x" * 1000, None, {"N": "v" * 100}), PayloadTooLargeError),
        ]:
            self.failureResultOf(self.publisher.publish(*message), error)  # type: ignore[arg-type]
        self.assertEqual(self.turn(), b"")
        self.assertEqual(self.counts(), (9, 0, 0, 9))

    def test_wrong_types(self) -> None:
        """The error names the argument."""
        for arguments, error, name in WRONG_TYPES:
            failure = self.failureResultOf(self.publisher.publish(*arguments), error)  # type: ignore[arg-type]
            self.assertIn(name, failure.getErrorMessage())
        self.assertEqual(self.counts(), (len(WRONG_TYPES), 0, 0, len(WRONG_TYPES)))
        self.failureResultOf(self.publisher.publish("a", b"", policy=[]), SettingError)  # type: ignore[arg-type]
        self.failureResultOf(self.publisher.publish("a", b"", msg_id=5), HeaderError)  # type: ignore[arg-type]

    def test_exactly_max_payload(self) -> None:
        self.publisher.publish("a", b"x" * 1024)
        self.assertEqual(len(self.turn()), len(b"PUB a 1024\r\n\r\n") + 1024)


class BoundOfMessagesTests(PublisherTestCase):
    """A worker holds a limited number of messages."""

    limits = PublishLimits(messages=3)

    def test_the_bound_of_messages(self) -> None:
        waits = [self.publisher.publish("a", b"") for _ in range(3)]
        error = self.failureResultOf(self.publisher.publish("a", b""), PublishBufferFullError).value
        self.assertEqual((error.messages, error.max_messages), (3, 3))
        self.turn()
        self.pong()
        for wait in waits:
            self.successResultOf(wait)
        self.publisher.publish("a", b"")
        self.assertEqual(self.turn(), b"PUB a 0\r\n\r\n")


class BoundOfBytesTests(PublisherTestCase):
    """A worker holds a limited number of bytes."""

    limits = PublishLimits(bytes=30)

    def test_the_bound_of_bytes(self) -> None:
        self.publisher.publish("a", b"12345")  # 16 bytes on the wire
        error = self.failureResultOf(self.publisher.publish("a", b"12345"), PublishBufferFullError).value
        self.assertEqual((error.bytes, error.max_bytes), (16, 30))

    def test_json_counts(self) -> None:
        self.publisher.publish("a", {"n": 1})
        self.assertEqual(self.worker.buffer.bytes, len(b'PUB a 7\r\n{"n":1}\r\n'))
        self.failureResultOf(self.publisher.publish("a", [1, 2, 3]), PublishBufferFullError)

    def test_confirmed_messages_are_released(self) -> None:
        """Each byte is counted once, also if the message went through the pool or was sent again."""
        for _ in range(50):
            plain, serialised = self.publisher.publish("a", b"1"), self.publisher.publish("a", lambda: b"2")
            self.turn()
            self.pool.run_next()
            self.disconnect()
            self.connect()
            self.clock.advance(0)
            self.pong()
            self.successResultOf(plain)
            self.successResultOf(serialised)
            self.assertEqual((self.worker.buffer.bytes, self.worker.buffer.messages), (0, 0))


class BoundOfCallablesTests(PublisherTestCase):
    """Payload functions are called only while there is space for what they return."""

    limits = PublishLimits(bytes=1000, resend_window=0.0)

    def setUp(self) -> None:
        super().setUp()
        self.calls = 0

    def payload(self) -> bytes:
        self.calls += 1
        return b"x" * 300

    def run_pool(self) -> None:
        while self.pool.work:
            self.pool.run_next()

    def test_headers_of_a_callable_count(self) -> None:
        """Its payload does as soon as it is known, and everything is released once."""
        wait = self.publisher.publish("a", lambda: b"123", headers={"N": "v"})
        self.assertEqual(self.worker.buffer.bytes, len(b"HPUB a 20 20\r\nNATS/1.0\r\nN: v\r\n\r\n\r\n"))
        self.turn()
        self.pool.run_next()
        self.assertEqual(self.worker.buffer.bytes, len(self.link.sent()))
        self.pong()
        self.successResultOf(wait)
        self.assertEqual(self.worker.buffer.bytes, 0)

    def test_as_many_as_fit(self) -> None:
        """Others are called when earlier ones are confirmed; the order is kept, and at most one is held in excess."""
        waits = [self.publisher.publish("a", self.payload) for _ in range(10)]
        waits.append(self.publisher.publish("a", b"last"))
        self.turn()
        self.run_pool()
        self.assertEqual(self.calls, 3)
        most = self.worker.buffer.bytes
        while self.link.pings:
            self.pong()
            self.turn()
            self.run_pool()
            most = max(most, self.worker.buffer.bytes)
        for wait in waits:
            self.successResultOf(wait)
        self.assertEqual((self.calls, self.counts()), (10, (11, 11, 0, 0)))
        self.assertLess(most, 1000 + 2 * 320)

    def test_behind_a_full_buffer(self) -> None:
        """One is called even if later messages fill the buffer: otherwise nothing would go on."""
        first = self.publisher.publish("a", self.payload)
        second = self.publisher.publish("a", self.payload)
        waits = [self.publisher.publish("a", b"x" * 450) for _ in range(2)]
        self.assertLess(self.worker.buffer.free, 100)
        for wait in (first, second, *waits):
            self.turn()
            self.run_pool()
            while self.link.pings:
                self.pong()
                self.run_pool()
            self.successResultOf(wait)

    def test_the_connection_is_lost_while_they_wait(self) -> None:
        waits = [self.publisher.publish("a", self.payload) for _ in range(6)]
        self.turn()
        self.run_pool()
        self.disconnect()
        self.assertEqual((self.calls, self.link.sent().count(b"PUB")), (4, 4))
        self.connect()
        self.assertEqual(self.link.sent().count(b"PUB"), 4)
        while self.link.pings or self.pool.work:
            self.run_pool()
            self.pong()
        for wait in waits:
            self.successResultOf(wait)
        self.assertEqual(self.calls, 6)


class OutageTests(PublisherTestCase):
    """Unconfirmed messages are sent again, first and in order."""

    def test_sent_again(self) -> None:
        waits = [self.publisher.publish("a", b"1")]
        self.turn()
        waits.append(self.publisher.publish("a", b"2"))
        self.turn()
        self.pong()
        self.disconnect()
        waits.append(self.publisher.publish("a", b"3"))
        self.assertEqual(self.turn(), b"")
        self.connect()
        self.assertEqual(self.turn(), b"PUB a 1\r\n2\r\nPUB a 1\r\n3\r\n")
        while self.link.pings:
            self.pong()
        for wait in waits:
            self.successResultOf(wait)
        self.assertEqual(self.counts(), (3, 3, 1, 0))

    def test_order_when_the_pool_is_busy(self) -> None:
        """Messages written before the outage go before those that the pool serialises, whenever it is ready."""
        for ready_after_reconnect in (False, True):
            self.publisher.publish("a", b"1")
            self.turn()
            self.publisher.publish("a", lambda: b"2")
            self.turn()
            self.publisher.publish("a", b"3")
            self.disconnect()
            if not ready_after_reconnect:
                self.pool.run_next()
            self.connect()
            written = self.turn()
            if ready_after_reconnect:
                self.pool.run_next()
                written += self.turn()
            self.assertEqual(written, b"PUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\n")
            while self.link.pings:
                self.pong()

    def test_before_the_first_connection(self) -> None:
        self.disconnect()
        wait = self.publisher.publish("a", b"1")
        self.turn()
        self.connect()
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(wait)

    def test_a_server_with_a_smaller_max_payload(self) -> None:
        """Messages above it fail; the server would end the connection for them, again and again."""
        large, small = self.publisher.publish("a", b"x" * 1000), self.publisher.publish("a", b"x")
        self.turn()
        self.disconnect()
        self.connect(max_payload=100)
        self.failureResultOf(large, PayloadTooLargeError)
        self.assertEqual(self.turn(), b"PUB a 1\r\nx\r\n")
        self.pong()
        self.successResultOf(small)

    def test_a_refusal_before_the_outage(self) -> None:
        """It does not fail the message that is sent again."""
        wait = self.publisher.publish("a", b"1")
        self.turn()
        self.refuse('Permissions Violation for Publish to "a"')
        self.disconnect()
        self.connect()
        self.turn()
        self.pong()
        self.successResultOf(wait)


class SeveralWorkersTests(PublisherTestCase):
    """The order of each subject is kept with several workers."""

    workers = 4

    def test_a_subject_has_one_worker(self) -> None:
        for number in range(100):
            for subject in range(20):
                self.publisher.publish(f"s.{subject}", b"%d" % number)
            self.clock.advance(0)
        used = set()
        for subject in range(20):
            [link] = [link for link in self.links if b"s.%d " % subject in b"".join(link.written)]
            lines = b"".join(link.written).split(b"\r\n")
            payloads = [lines[at + 1] for at, line in enumerate(lines) if line.startswith(b"PUB s.%d " % subject)]
            self.assertEqual(payloads, [b"%d" % number for number in range(100)])
            used.add(id(link))
        self.assertGreater(len(used), 1)


class HighAndLowWaterTests(PublisherTestCase):
    """Producers are asked to pause, and to go on."""

    limits = PublishLimits(messages=8)

    def test_half_and_a_quarter(self) -> None:
        for _ in range(4):
            self.publisher.publish("a", b"")
        self.turn()
        self.assertEqual(self.marks, [])
        self.publisher.publish("a", b"")
        self.publisher.publish("a", b"")
        self.assertEqual(self.marks, ["high"])
        self.pong()
        self.assertEqual(self.marks, ["high", "low"])
        self.turn()
        self.pong()
        self.assertEqual(self.marks, ["high", "low"])


class HighWaterOfBytesTests(PublisherTestCase):
    """Producers are asked to pause when more than half of the bytes are held."""

    limits = PublishLimits(bytes=40)

    def test_half(self) -> None:
        self.publisher.publish("a", b"12345678")  # 20 bytes on the wire
        self.assertEqual(self.marks, [])
        self.publisher.publish("a", b"")
        self.assertEqual(self.marks, ["high"])


class ThreadTests(PublisherTestCase):
    """publish() from any thread."""

    limits = PublishLimits(messages=3, bytes=10_000)

    def publish_from_thread(self, *messages: tuple[Any, ...]) -> list[Deferred[None]]:
        """Publish in another thread; the reactor thread has not taken the messages yet."""
        waits: list[Deferred[None]] = []

        def publish() -> None:
            waits.extend(self.publisher.publish(*message) for message in messages)

        thread = Thread(target=publish)
        thread.start()
        thread.join()
        self.assertEqual(len(waits), len(messages))
        return waits

    def run_calls(self) -> None:
        """What the reactor does with ``callFromThread``."""
        while self.from_thread:
            function, *arguments = self.from_thread.pop(0)
            function(*arguments)

    def test_from_a_thread(self) -> None:
        """The reactor thread does all the work."""
        waits = self.publish_from_thread(("a", b"1"))
        assert isinstance(waits[0], Confirmation)
        self.assertTrue(waits[0].has_callbacks, "the thread may add one at any moment")
        self.assertEqual((self.turn(), self.publisher.account().published), (b"", 0))
        self.run_calls()
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(waits[0])

    def test_a_payload_is_fixed(self) -> None:
        """It is encoded in the thread."""
        data, record = bytearray(b"1"), {"n": 1}
        self.publish_from_thread(("a", data), ("a", record))
        data[0] = record["n"] = 50
        self.run_calls()
        self.assertEqual(self.turn(), b'PUB a 1\r\n1\r\nPUB a 7\r\n{"n":1}\r\n')

    def test_a_callable(self) -> None:
        self.publish_from_thread(("a", lambda: b"1"))
        self.run_calls()
        self.turn()
        self.pool.run_next()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n1\r\n")

    def test_wrong_arguments(self) -> None:
        """The Deferred fails in the reactor thread, with an error that names the argument."""
        waits = self.publish_from_thread(*(arguments for arguments, _, _ in WRONG_TYPES), ("a b", b""), ("a", object()))
        for wait in waits:
            self.assertNoResult(wait)
        self.run_calls()
        for wait, (_, error, name) in zip(waits, WRONG_TYPES):
            self.assertIn(name, self.failureResultOf(wait, error).getErrorMessage())
        self.failureResultOf(waits[-2], SubjectError)
        self.failureResultOf(waits[-1], PayloadError)
        self.assertEqual(self.counts(), (len(waits), 0, 0, len(waits)))

    def test_bounds(self) -> None:
        """What the reactor thread has not taken yet is bounded, too."""
        waits = self.publish_from_thread(*[("a", b"1")] * 4)
        self.run_calls()
        error = self.failureResultOf(waits[3], PublishBufferFullError).value
        self.assertEqual((error.messages, error.max_messages), (3, 3))
        self.assertEqual(self.turn().count(b"PUB"), 3)
        self.pong()
        [large] = self.publish_from_thread(("a", b"x" * 10_000))
        self.run_calls()
        self.failureResultOf(large, PublishBufferFullError)

    def test_memory(self) -> None:
        """What does not fit is not kept until the reactor comes."""
        tracemalloc.start()
        try:
            self.publish_from_thread(("a", bytearray(9_000)))
            thread = Thread(target=lambda: [self.publisher.publish("a", bytearray(9_000)) for _ in range(200)])
            thread.start()
            thread.join()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(held, 1_000_000)
        self.run_calls()
        self.assertEqual(self.counts(), (201, 0, 0, 201))
        gc.collect()

    def test_the_policy_of_a_message(self) -> None:
        waits: list[Deferred[None]] = []
        self.disconnect()
        thread = Thread(target=lambda: waits.append(self.publisher.publish("a", b"", policy="fail")))
        thread.start()
        thread.join()
        self.run_calls()
        self.failureResultOf(waits[0], ConnectionLostError)

    def test_an_unknown_policy(self) -> None:
        waits: list[Deferred[None]] = []
        thread = Thread(target=lambda: waits.append(self.publisher.publish("a", b"", policy="hope")))
        thread.start()
        thread.join()
        self.run_calls()
        self.failureResultOf(waits[0], SettingError)

    def test_flush_and_stop_take_them(self) -> None:
        """They were published before."""
        [wait] = self.publish_from_thread(("a", b"1"))
        flushed = self.publisher.flush()
        self.assertNoResult(flushed)
        self.pong()
        self.successResultOf(wait)
        [wait] = self.publish_from_thread(("a", b"2"))
        stopped = self.publisher.stop(5.0)
        self.turn()
        self.pong()
        self.successResultOf(wait)
        self.successResultOf(stopped)
        [late] = self.publish_from_thread(("a", b"3"))
        self.run_calls()
        self.failureResultOf(late, PublisherStoppedError)

    def test_cancelled_before_it_is_taken(self) -> None:
        [wait] = self.publish_from_thread(("a", b"1"))
        wait.cancel()
        self.failureResultOf(wait, CancelledError)
        self.clock.advance(1)
        self.run_calls()
        self.assertEqual((self.turn(), self.counts()), (b"", (1, 0, 0, 1)))


class BeforeTheStartTests(PublisherTestCase):
    """publish() before start(): the message waits, bounded like any other."""

    limits = PublishLimits(messages=2)

    def test_waits(self) -> None:
        publisher = self.new_publisher()
        waits = [publisher.publish("a", b"%d" % number) for number in range(3)]
        self.assertEqual(len(self.from_thread), 1)
        publisher.start()
        publisher.workers[0].connected()
        self.failureResultOf(waits[2], PublishBufferFullError)
        self.failureResultOf(publisher.publish("a", b"3"), PublishBufferFullError)
        self.assertEqual(self.turn(), b"PUB a 1\r\n0\r\nPUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(waits[0])
        self.successResultOf(waits[1])

    def test_the_reactor_runs_before_the_start(self) -> None:
        """The message waits in its worker, and the call does not ask the reactor again."""
        publisher = self.new_publisher()
        wait = publisher.publish("a", b"1")
        [(function, *arguments)] = self.from_thread
        function(*arguments)
        self.assertEqual((len(self.from_thread), publisher.account().in_progress), (1, 1))
        publisher.start()
        publisher.workers[0].connected()
        self.turn()
        self.pong()
        self.successResultOf(wait)


class CancelTests(PublisherTestCase):
    """Cancelling a publish withdraws the message if it is not written yet."""

    def test_gathered(self) -> None:
        """The others of the turn are sent."""
        waits = [self.publisher.publish("a", b"%d" % number) for number in range(3)]
        waits[1].cancel()
        self.failureResultOf(waits[1], CancelledError)
        self.assertEqual(self.turn(), b"PUB a 1\r\n0\r\nPUB a 1\r\n2\r\n")
        self.pong()
        self.successResultOf(waits[2])
        self.assertEqual((self.counts(), self.worker.buffer.bytes), ((3, 2, 0, 1), 0))

    def test_without_a_connection(self) -> None:
        """What it held is released soon."""
        self.disconnect()
        waits = [self.publisher.publish("a", b"%d" % number) for number in range(3)]
        self.turn()
        flushed = self.publisher.flush()
        for wait in waits:
            wait.cancel()
            self.failureResultOf(wait, CancelledError)
        self.assertNoResult(flushed)
        self.clock.advance(0)
        self.successResultOf(flushed)
        self.assertEqual((self.counts(), self.worker.buffer.messages), ((3, 0, 0, 3), 0))
        self.connect()
        self.assertEqual(self.link.sent(), b"")

    def test_one_after_the_other(self) -> None:
        """Each is released soon, with one timer for all of a turn."""
        self.disconnect()
        waits = [self.publisher.publish("a", b"") for _ in range(6)]
        self.turn()
        timers = len(self.clock.getDelayedCalls())
        for left, (first, second) in zip((4, 2, 0), zip(waits[::2], waits[1::2])):
            for wait in (first, second):
                wait.cancel()
                self.failureResultOf(wait, CancelledError)
            self.assertEqual(len(self.clock.getDelayedCalls()), timers + 1)
            self.clock.advance(0)
            self.assertEqual(self.worker.buffer.messages, left)

    def test_in_the_pool(self) -> None:
        waits = [self.publisher.publish("a", lambda: b"1"), self.publisher.publish("a", lambda: b"2")]
        self.turn()
        waits[0].cancel()
        self.failureResultOf(waits[0], CancelledError)
        self.turn()
        self.pool.run_next()
        self.assertEqual(self.turn(), b"PUB a 1\r\n2\r\n")
        self.pong()
        self.assertEqual((self.counts(), self.worker.buffer.bytes), ((2, 1, 0, 1), 0))

    def test_written(self) -> None:
        """It fails, but the message is sent, again after a lost connection, and counts as confirmed."""
        wait = self.publisher.publish("a", b"1")
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        wait.cancel()
        self.failureResultOf(wait, CancelledError)
        self.turn()
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.assertEqual(self.counts(), (1, 1, 1, 0))


class RouteTests(PublisherTestCase):
    """Each route has a publish() of its own, so that the log can name it."""

    def test_the_log(self) -> None:
        """Of a message that fails at once, and of one that fails later."""
        log = LogRecorder(self)
        publish = self.publisher.publish_for("nats:calls")
        self.assertEqual(publish, self.publisher.publish_for("nats:calls"))
        publish("a b", b"")
        publish("a", b"")
        self.turn()
        self.refuse('Permissions Violation for Publish to "a"')
        self.pong()
        self.disconnect()
        publish("b", b"")
        publish("c", b"", policy="fail")
        self.successResultOf(self.publisher.stop(1.0))
        gc.collect()
        lines = log.lines("error")
        self.assertEqual(
            [line.partition(":")[2].partition(": ")[0].strip() for line in lines],
            ["message to a b from nats:calls"] * 1
            + ["message to a from nats:calls", "message to c from nats:calls", "1 message(s) to b from nats:calls"],
        )

    def test_counted_and_stopped_with_the_others(self) -> None:
        publish = self.publisher.publish_for("nats:calls")
        self.failureResultOf(publish("a b", b""), SubjectError)
        self.assertEqual(self.counts(), (1, 0, 0, 1))
        self.successResultOf(self.publisher.stop(1.0))
        for one in (publish, self.publisher.publish_for("nats:late")):
            self.failureResultOf(one("a", b""), PublisherStoppedError)
        self.publisher.start()
        self.assertNoResult(publish("a", b""))
        self.assertNoResult(self.publisher.publish_for("nats:new")("a", b""))

    def test_failures_that_were_not_logged(self) -> None:
        """Their number is logged at the stop."""
        log = LogRecorder(self)
        for _ in range(3):
            self.publisher.publish("a b", b"")
        gc.collect()
        self.successResultOf(self.publisher.stop(1.0))
        self.assertEqual(log.lines("error")[1:], ["Not published: 2 more messages, SubjectError"])


class HeaderSupportTests(PublisherTestCase):
    """A server without headers closes the connection when it gets some."""

    def test_before_the_first_connection(self) -> None:
        """Nobody knows yet, so the message waits."""
        publisher = self.new_publisher()
        publisher.start()
        self.assertNoResult(publisher.publish("a", b"", headers={"N": "v"}))

    def test_refused(self) -> None:
        """At once, or when the server says so."""
        waiting = self.publisher.publish("a", b"1", headers={"N": "v"})
        function = self.publisher.publish("a", lambda: b"2", headers={"N": "v"})
        self.turn()
        self.disconnect()
        self.pool.run_next()
        self.connect(headers=False)
        self.failureResultOf(waiting, HeaderError)
        self.failureResultOf(function, HeaderError)
        error = self.failureResultOf(self.publisher.publish("a", b"", headers={"N": "v"}), HeaderError)
        self.assertIn("no_header_support", error.getErrorMessage())
        self.assertNoResult(self.publisher.publish("a", b"", headers={}))
        self.disconnect()
        self.connect()
        self.assertNoResult(self.publisher.publish("a", b"", headers={"N": "v"}))


class StopTests(PublisherTestCase):
    """The end: unconfirmed messages are waited for, until a timeout."""

    def test_without_messages(self) -> None:
        self.successResultOf(self.publisher.stop(5.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_confirmed_in_time(self) -> None:
        wait = self.publisher.publish("a", b"1")
        stopped = self.publisher.stop(5.0)
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        self.assertNoResult(stopped)
        self.pong()
        self.successResultOf(wait)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_in_time(self) -> None:
        """The log names the subjects of unconfirmed messages."""
        log = LogRecorder(self)
        waits = [self.publisher.publish("a", b"1"), self.publisher.publish("b", lambda: b"2")]
        stopped = self.publisher.stop(5.0)
        self.turn()
        self.clock.advance(5.0)
        self.successResultOf(stopped)
        for wait in waits:
            self.failureResultOf(wait, PublisherStoppedError)
        self.assertEqual(
            log.lines("error"),
            [
                "Not confirmed: 2 message(s) to a, b: the publisher stopped before the server confirmed the message",
            ],
        )
        self.pool.run_next()
        self.assertEqual(self.turn(), b"")

    def test_without_a_connection(self) -> None:
        """Messages fail at once, since no server can confirm them."""
        self.disconnect()
        wait = self.publisher.publish("a", b"1")
        self.successResultOf(self.publisher.stop(5.0))
        self.failureResultOf(wait, PublisherStoppedError)

    def test_publish_after_stop(self) -> None:
        """Also to a subject that was published to before."""
        self.publisher.publish("a", b"1")
        self.turn()
        self.pong()
        self.successResultOf(self.publisher.stop(5.0))
        for subject in ("a", "b"):
            self.failureResultOf(self.publisher.publish(subject, b"1"), PublisherStoppedError)
        self.publisher.start()
        wait = self.publisher.publish("a", b"2")
        self.turn()
        self.pong()
        self.successResultOf(wait)

    def test_stopped_twice(self) -> None:
        """Both Deferreds fire."""
        self.publisher.publish("a", b"1")
        stops = [self.publisher.stop(5.0), self.publisher.stop(5.0)]
        self.turn()
        self.pong()
        for stopped in stops:
            self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_started_while_stopping(self) -> None:
        """It accepts messages when the stop is done; another stop takes the start back."""
        for stopped_again in (False, True):
            self.publisher.publish("a", b"1")
            self.turn()
            self.publisher.stop(5.0)
            self.publisher.start()
            if stopped_again:
                self.publisher.stop(5.0)
            self.failureResultOf(self.publisher.publish("a", b"2"), PublisherStoppedError)
            self.pong()
            wait = self.publisher.publish("a", b"3")
            if stopped_again:
                self.failureResultOf(wait, PublisherStoppedError)
            else:
                self.turn()
                self.pong()
                self.successResultOf(wait)

    def test_after_an_expired_batch(self) -> None:
        """PONGs that did not come before the stop are not waited for after it."""
        for lost in (False, True):
            self.publisher.publish("a", b"1")
            self.turn()
            self.clock.advance(3600)
            self.successResultOf(self.publisher.stop(5.0))
            self.publisher.start()
            if lost:
                self.disconnect()
                self.connect()
            else:
                self.link.info = None  # the end of a connection that was stopped may not be reported
                self.link.pings.clear()
                self.connect()
            self.link.sent()
            waits = [self.publisher.publish("a", b"2"), self.publisher.publish("a", b"3")]
            self.turn()
            while self.link.pings:
                self.pong()
            for wait in waits:
                self.successResultOf(wait)

    def test_a_connection_whose_end_was_not_reported(self) -> None:
        """What was written on it is sent again, in order."""
        waits = [self.publisher.publish("a", b"1")]
        self.turn()
        self.link.pings.clear()
        waits.append(self.publisher.publish("a", b"2"))
        self.connect()
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\nPUB a 1\r\n2\r\n")
        self.pong()
        self.pong()
        for wait in waits:
            self.successResultOf(wait)

    def make_a_step(self, chance: random.Random) -> None:
        """Something that happens to a publisher."""
        if chance.random() < 0.15:
            self.publisher.stop(chance.choice([0.0, 0.5]))
            if chance.random() < 0.5:
                self.publisher.start()
            return
        steps = [self.publisher.start, lambda: self.clock.advance(0.5)]
        steps.append(self.disconnect if self.link.info else self.connect)
        if self.pool.work:
            steps.append(self.pool.run_next)
        if self.link.pings:
            steps += [self.pong] * 3
        chance.choice(steps)()

    def test_restarts_with_traffic(self) -> None:
        """Stops and starts with messages in every state; each Deferred fires, and the account adds up."""
        chance = random.Random(3)
        waits: list[Deferred[None]] = []
        outcomes: list[object] = []
        for _ in range(300):
            for _ in range(chance.randrange(4)):
                payload = chance.choice([b"x", {"n": 1}, lambda: b"y"])
                wait = self.publisher.publish(f"s{chance.randrange(3)}", payload, policy=chance.choice([None, "fail"]))
                waits.append(wait.addBoth(outcomes.append))
            self.make_a_step(chance)
            self.clock.advance(0)
            self.counts()
        if not self.link.info:
            self.connect()
        self.clock.advance(1)
        self.publisher.start()
        last = self.publisher.publish("s0", b"last")
        for _ in range(100):
            self.turn()
            while self.pool.work:
                self.pool.run_next()
            while self.link.pings:
                self.pong()
        self.successResultOf(last)
        self.assertEqual(len(outcomes), len(waits))
        self.assertIn(None, outcomes)
        self.assertEqual(self.counts()[0], len(waits) + 1)
