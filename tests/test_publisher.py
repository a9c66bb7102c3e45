"""natsroute.publishing.publisher"""

from __future__ import annotations

from threading import Thread

from twisted.internet.defer import CancelledError, Deferred

from natsroute.errors import (
    HeaderError,
    PayloadError,
    PayloadTooLargeError,
    PermissionsError,
    PublishBufferFullError,
    PublisherStoppedError,
    SubjectError,
    server_error,
)
from natsroute.publishing.options import PublishLimits
from tests.support.log_recorder import LogRecorder
from tests.support.memory_publisher import PublisherTestCase


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
        error = server_error('Permissions Violation for Publish with Reply of "r"')
        assert isinstance(error, PermissionsError)
        self.worker.refused(error)
        self.pong()
        self.failureResultOf(waits[0], PermissionsError)
        self.failureResultOf(waits[1], PermissionsError)
        self.successResultOf(waits[2])
        self.failureResultOf(
            waits[3], PermissionsError
        )  # a client that may not publish to it may not use it for replies either

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

    def test_cancelled(self) -> None:
        """The Deferred fails, but the message is sent."""
        wait = self.publisher.publish("a", b"1")
        wait.cancel()
        self.failureResultOf(wait, CancelledError)
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.assertEqual(self.counts(), (1, 1, 0, 0))

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
        error = server_error('Permissions Violation for Publish to "a"')
        assert isinstance(error, PermissionsError)
        self.worker.refused(error)
        self.pong()
        self.assertIs(self.failureResultOf(refused, PermissionsError).value, error)
        self.successResultOf(taken)
        later = self.publisher.publish("a", b"3")
        self.turn()
        self.pong()
        self.successResultOf(later)
        self.assertEqual(self.counts(), (3, 2, 0, 1))


class PoolTests(PublisherTestCase):
    """Callables and JSON are serialised in the pool; the order is kept."""

    def test_bytes_do_not_use_the_pool(self) -> None:
        self.publisher.publish("a", b"1")
        self.publisher.publish("a", "2")
        self.turn()
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
            self.assertEqual((self.worker._buffer.bytes, self.worker._buffer.messages), (0, 0))


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
        self.worker.refused(server_error('Permissions Violation for Publish to "a"'))  # type: ignore[arg-type]
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


class ThreadTests(PublisherTestCase):
    """publish() from any thread."""

    def test_from_a_thread(self) -> None:
        """The reactor thread does all the work."""
        waits: list[Deferred[None]] = []
        thread = Thread(target=lambda: waits.append(self.publisher.publish("a", b"1")))
        thread.start()
        thread.join()
        self.assertEqual((self.turn(), self.publisher.account().published), (b"", 0))
        [(function, *arguments)] = self.from_thread
        function(*arguments)
        self.assertEqual(self.turn(), b"PUB a 1\r\n1\r\n")
        self.pong()
        self.successResultOf(waits[0])


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
        self.publisher.stop(5.0)
        self.failureResultOf(self.publisher.publish("a", b"1"), PublisherStoppedError)
