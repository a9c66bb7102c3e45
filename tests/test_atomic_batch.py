"""natsroute.jetstream.publishing.atomic_batch"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from natsroute.client.requests import Requests
from natsroute.errors import (
    ConnectionLostError,
    PayloadTooLargeError,
    PublishBufferFullError,
    PublisherStoppedError,
    PublishExpiredError,
    RequestTimeoutError,
)
from natsroute.jetstream.errors import BatchError, DuplicateInBatchError, JetStreamBusyError, NoStreamError
from natsroute.jetstream.publishing.atomic_batch import AtomicBatches, BatchMessage
from natsroute.jetstream.publishing.pub_ack import PubAck
from natsroute.jetstream.publishing.stream_options import StreamPublishOptions
from natsroute.message import Message
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.options import PublishLimits
from natsroute.wire.encoder import split_pubs
from natsroute.wire.headers import Headers, encode_headers, parse_headers
from tests.support.connection_case import ConnectionTestCase
from tests.support.garbage import left_in_cycles

A, B, C = BatchMessage("calls.a", b"1"), BatchMessage("calls.b", b"2"), BatchMessage("calls.c", b"3")
INCOMPLETE = b'{"error":{"code":400,"err_code":10176,"description":"atomic publish batch is incomplete"}}'
DUPLICATE = b'{"error":{"code":400,"err_code":10201,"description":"duplicate message id"},"stream":"CALLS","seq":0}'


class Sent:
    """A message that was written."""

    def __init__(self, command: bytes) -> None:
        line, _, rest = command.partition(b"\r\n")
        words = line.decode().split(" ")
        self.subject, self.reply = words[1], words[2] if len(words) == 5 else ""
        size = int(words[-2])
        self.headers: Headers = parse_headers(rest[:size])
        self.data = rest[size:-2]
        self.number = int(self.headers["Nats-Batch-Sequence"])
        self.commits = self.headers.get("Nats-Batch-Commit")


class BatchTests(ConnectionTestCase):
    """Batches to a server in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.connection(message_type=Message)
        requests = Requests(self.client, self.clock)
        options = StreamPublishOptions(ack_timeout=5.0, max_age=60.0)
        self.marks: list[str] = []
        limits = PublishLimits(messages=10, bytes=100_000)
        self.buffer = Buffer(limits, lambda: self.marks.append("high"), lambda: self.marks.append("low"))
        self.batches = AtomicBatches(self.client, requests, self.clock, options, self.buffer)
        self.connected(self.client)
        self.network.link.transport.sent()

    def sent(self) -> list[Sent]:
        """The messages that were written since the last call."""
        said = self.network.link.transport.sent().replace(b"PING\r\n", b"")
        said = b"".join(line for line in said.splitlines(keepends=True) if not line.startswith((b"SUB ", b"CONNECT")))
        return [Sent(command) for command in split_pubs(said)]

    def answer(self, sent: Sent, data: bytes = b"", block: bytes = b"") -> None:
        """The server answers a message."""
        sizes = b"%d %d" % (len(block), len(block) + len(data)) if block else b"%d" % len(data)
        command = b"HMSG" if block else b"MSG"
        self.network.link.receive(b"%b %b 1 %b\r\n%b%b\r\n" % (command, sent.reply.encode(), sizes, block, data))

    def commit(self, sent: Sent, count: int) -> None:
        """The server acknowledges a batch."""
        name = sent.headers["Nats-Batch-Id"].encode()
        self.answer(sent, b'{"stream":"CALLS","seq":9,"batch":"%b","count":%d}' % (name, count))

    def counts(self) -> tuple[int, int, int, int]:
        """Published, confirmed, failed and in progress."""
        account = self.batches.account()
        self.assertEqual(account.published, account.confirmed + account.failed + account.in_progress)
        self.assertEqual(self.buffer.messages, account.in_progress)
        if not account.in_progress:
            self.assertEqual(self.buffer.bytes, 0)
        return account.published, account.confirmed, account.failed, account.in_progress

    def test_committed(self) -> None:
        """The first message is answered before the others follow; the last one commits."""
        wait = self.batches.publish([A, B, C])
        (first,) = self.sent()
        self.assertEqual((first.subject, first.number, first.commits), ("calls.a", 1, None))
        self.assertEqual(self.counts(), (3, 0, 0, 3))
        self.answer(first)
        second, third = self.sent()
        self.assertEqual((second.subject, second.number, second.commits, second.reply), ("calls.b", 2, None, ""))
        self.assertEqual((third.subject, third.number, third.commits), ("calls.c", 3, "1"))
        self.assertEqual({one.headers["Nats-Batch-Id"] for one in (second, third)}, {first.headers["Nats-Batch-Id"]})
        self.assertEqual(len({one.headers["Nats-Msg-Id"] for one in (first, second, third)}), 3)
        self.commit(third, 3)
        ack = self.successResultOf(wait)
        self.assertEqual((ack.sequence, ack.count, ack.batch), (9, 3, first.headers["Nats-Batch-Id"]))
        self.assertEqual(self.counts(), (3, 3, 0, 0))

    def test_one_message(self) -> None:
        wait = self.batches.publish([BatchMessage("calls.a", b"1", encode_headers({"A": "b", "Nats-Msg-Id": "m"}))])
        (only,) = self.sent()
        self.assertEqual((only.number, only.commits, only.headers["A"]), (1, "1", "b"))
        self.assertEqual(only.headers.get_all("Nats-Msg-Id"), ["m"])
        self.commit(only, 1)
        self.successResultOf(wait)

    def test_refused_at_once(self) -> None:
        wait = self.batches.publish([A, B])
        self.answer(
            self.sent()[0], b'{"error":{"code":400,"err_code":10174,"description":"atomic publish is disabled"}}'
        )
        self.failureResultOf(wait, BatchError)
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.counts(), (2, 0, 2, 0))

    def test_old_server(self) -> None:
        """It stores each message alone."""
        for batch in ([A, B], [A]):
            wait = self.batches.publish(batch)
            self.answer(self.sent()[0], b'{"stream":"CALLS","seq":1}')
            self.assertIn("2.12", str(self.failureResultOf(wait, BatchError).value))

    def test_too_large(self) -> None:
        wait = self.batches.publish([A, BatchMessage("calls.b", b"x" * 2000), C])
        self.answer(self.sent()[0])
        self.failureResultOf(wait, PayloadTooLargeError)

    def begun(self, batch: list[BatchMessage], **options: Any) -> tuple[Deferred[PubAck], Sent]:
        """A batch whose last message is not answered yet."""
        wait = self.batches.publish(batch, **options)
        self.answer(self.sent()[0])
        return wait, self.sent()[-1]

    def test_lost_acknowledgement(self) -> None:
        """It is sent again with the same ids; the stream has it already."""
        wait, last = self.begun([A, B])
        self.clock.advance(5.0)
        self.clock.advance(0.25)
        (first,) = self.sent()
        self.assertNotEqual(first.headers["Nats-Batch-Id"], last.headers["Nats-Batch-Id"])
        self.answer(first)
        (again,) = self.sent()
        self.assertEqual(again.headers["Nats-Msg-Id"], last.headers["Nats-Msg-Id"])
        self.answer(again, DUPLICATE)
        ack = self.successResultOf(wait)
        self.assertEqual((ack.duplicate, ack.sequence, ack.count), (True, 0, 2))
        self.assertEqual(self.batches.account().resent, 2)

    def test_incomplete(self) -> None:
        """A server that has restarted does not know its beginning: it is sent again. The third time, it is an error."""
        for times in (2, 3):
            wait, last = self.begun([A, B])
            for delay in (0.25, 0.5, 1.0)[:times]:
                self.answer(last, INCOMPLETE)
                self.clock.advance(delay)
                if sent := self.sent():
                    self.answer(sent[0])
                    (last,) = self.sent()
            if times == 2:
                self.commit(last, 2)
                self.successResultOf(wait)
            else:
                self.failureResultOf(wait, BatchError)
        self.assertEqual(self.batches.account().resent, 2 * 2 + 2 * 2)

    def test_duplicate(self) -> None:
        """The first time, it is an error; also later, if the program gave an id."""
        wait, last = self.begun([A, B])
        self.answer(last, DUPLICATE)
        self.failureResultOf(wait, DuplicateInBatchError)
        wait, last = self.begun([A, BatchMessage("calls.b", b"", encode_headers({"Nats-Msg-Id": "m"}))])
        self.clock.advance(5.0)
        self.clock.advance(0.25)
        self.answer(self.sent()[0])
        self.answer(self.sent()[0], DUPLICATE)
        self.failureResultOf(wait, DuplicateInBatchError)

    def test_connection_lost(self) -> None:
        """It is sent again over the next one."""
        wait, _ = self.begun([A, B])
        self.network.link.lose()
        self.clock.advance(2.0)
        self.accept()
        self.answer(self.sent()[0])
        self.commit(self.sent()[0], 2)
        self.successResultOf(wait)

    def test_no_stream(self) -> None:
        """It may come, until the message is too old."""
        wait = self.batches.publish([A, B])
        for _ in range(20):
            for sent in self.sent():
                self.answer(sent, block=b"NATS/1.0 503\r\n\r\n")
            self.clock.advance(5.0)
        self.failureResultOf(wait, NoStreamError)

    def test_expired(self) -> None:
        """Nothing answers."""
        wait = self.batches.publish([A, B])
        self.clock.pump([1.0] * 70)
        self.failureResultOf(wait, PublishExpiredError)

    def test_policy_fail(self) -> None:
        """It is sent once."""
        wait, _ = self.begun([A, B], is_kept=False)
        self.clock.advance(5.0)
        self.failureResultOf(wait, RequestTimeoutError)
        wait, last = self.begun([A, B], is_kept=False)
        self.answer(last, b'{"error":{"code":503,"err_code":10008,"description":"unavailable"}}')
        self.failureResultOf(wait, JetStreamBusyError)
        wait, _ = self.begun([A, B], is_kept=False)
        self.network.link.lose()
        self.failureResultOf(wait, ConnectionLostError)
        self.assertEqual(self.counts(), (6, 0, 6, 0))

    def test_no_cycles(self) -> None:
        """
        An error goes when nobody has it, and with it the messages. Only Twisted makes cycles, when it throws an error
        into a coroutine that has waited.
        """

        def refused() -> None:
            wait, last = self.begun([A, B], is_kept=False)
            wait.addErrback(lambda failure: None)
            self.answer(last, b'{"error":{"code":503,"err_code":10008,"description":"unavailable"}}')
            self.assertTrue(wait.called)

        def sent_again() -> None:
            wait, last = self.begun([A, B])
            self.answer(last, b'{"error":{"code":503,"err_code":10008,"description":"unavailable"}}')
            self.clock.advance(0.25)
            self.answer(self.sent()[0])
            self.commit(self.sent()[0], 2)
            self.successResultOf(wait)

        def no_stream() -> None:
            wait = self.batches.publish([A, B])
            wait.addErrback(lambda failure: None)
            for _ in range(20):
                for sent in self.sent():
                    self.answer(sent, block=b"NATS/1.0 503\r\n\r\n")
                self.clock.advance(5.0)
            self.successResultOf(wait)

        self.assertEqual(left_in_cycles(refused), [])
        self.assertEqual(left_in_cycles(sent_again), [])
        self.assertNotIn("NoStreamError", left_in_cycles(no_stream))

    def test_flush_does_not_wait_for_callbacks(self) -> None:
        """What the program does after a batch may take as long as it likes."""
        wait, last = self.begun([A, B])
        later: Deferred[None] = Deferred()
        wait.addCallback(lambda _: later)
        flushed = self.batches.flush()
        self.commit(last, 2)
        self.successResultOf(flushed)
        later.callback(None)

    def test_buffer(self) -> None:
        """Batches count with the messages that are held: producers pause, and what is too much is refused."""
        waits = [self.begun([A, B, C]) for _ in range(2)]
        self.assertEqual(self.marks, ["high"])
        self.begun([A, B, C])[0].addErrback(lambda _: None)
        error = self.failureResultOf(self.batches.publish([A, B]), PublishBufferFullError).value
        self.assertEqual((error.messages, error.max_messages), (9, 10))
        self.assertEqual(self.counts(), (11, 0, 2, 9))
        large = BatchMessage("calls.a", b"x" * 100_001)
        self.failureResultOf(self.batches.publish([large]), PublishBufferFullError)
        for wait, last in waits:
            self.commit(last, 3)
            self.successResultOf(wait)
        self.assertEqual(self.marks, ["high"])
        self.batches.abandon()
        self.assertEqual(self.marks, ["high", "low"])
        self.assertEqual(self.counts(), (12, 6, 6, 0))

    def test_the_end(self) -> None:
        """Flush waits for it; abandon fails it; who cancels it gets that."""
        self.successResultOf(self.batches.flush())
        wait, last = self.begun([A, B])
        flushed = self.batches.flush()
        self.assertNoResult(flushed)
        self.commit(last, 2)
        self.successResultOf(flushed)
        self.successResultOf(wait)
        for _ in range(2):  # while it waits for an answer, and for the next attempt
            wait, _ = self.begun([A, B])
            if _ == 1:
                self.clock.advance(5.0)
            flushed = self.batches.flush()
            self.batches.abandon()
            self.failureResultOf(wait, PublisherStoppedError)
            self.successResultOf(flushed)
        wait, _ = self.begun([A, B])
        wait.cancel()
        self.failureResultOf(wait, CancelledError)
        self.assertEqual(self.counts()[3], 0)
