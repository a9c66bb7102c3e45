"""
Several messages that a stream stores all or none (NATS ADR-50).

The messages of a batch have its id and a number each. The server answers the first one, when it has begun the batch,
and the last one, which commits it. A stream that refuses any of them stores none.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from secrets import token_bytes
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from natsroute.client.connection import Connection
from natsroute.client.requests import Requests
from natsroute.errors import (
    ConnectionLostError,
    NoRespondersError,
    PayloadTooLargeError,
    PublisherStoppedError,
    PublishExpiredError,
    RequestTimeoutError,
)
from natsroute.jetstream.errors import BatchError, DuplicateInBatchError, JetStreamError, NoStreamError
from natsroute.jetstream.publishing.pub_ack import PubAck, may_pass, parse_pub_ack
from natsroute.jetstream.publishing.retry_log import RetryLog
from natsroute.jetstream.publishing.stream_options import Buffer, StreamPublishOptions
from natsroute.jetstream.publishing.stream_subject import RETRY_DELAYS
from natsroute.ledger import PublisherAccount
from natsroute.message import Message
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import MESSAGE_ID

_ID_LINE = MESSAGE_ID.encode() + b": "
_NOT_ATOMIC = (
    "the server stored the first message alone: it does not know atomic batches, which begin with version 2.12"
)
#: The number of the error for a batch of which the server does not have all messages.
_INCOMPLETE = 10176
#: After so many such errors in a row, it is not because a server has restarted and forgotten the batches it had begun.
_MAX_INCOMPLETE = 3
_STOPPED = "the publisher stopped before a stream acknowledged the batch"


def _new_id() -> bytes:
    return urlsafe_b64encode(token_bytes(15))  # 20 characters; a server allows 64


@attrs.frozen
class BatchMessage:
    """
    A message of a batch.

    :ivar block: its headers, empty if there are none.
    """

    subject: str
    data: bytes
    block: bytes = b""

    @property
    def has_id(self) -> bool:
        """Whether the program gave it an id."""
        return b"\r\n" + _ID_LINE in self.block

    def with_id(self) -> BatchMessage:
        """The same with an id, by which the stream knows it when it is sent again."""
        return self if self.has_id else self.with_lines(_ID_LINE + _new_id() + b"\r\n")

    def with_lines(self, lines: bytes) -> BatchMessage:
        """The same with more header lines."""
        block = (self.block[:-2] if self.block else b"NATS/1.0\r\n") + lines + b"\r\n"
        return attrs.evolve(self, block=block)


class AtomicBatches:
    """
    Publishes batches, over a connection for requests. All methods run in the reactor thread.

    A batch whose commit was not answered is sent again as a batch of its own. The ids of its messages tell the stream
    whether it has it already.

    :param buffer: bounds what is held.
    """

    def __init__(
        self,
        connection: Connection,
        requests: Requests,
        clock: IReactorTime,
        options: StreamPublishOptions,
        buffer: Buffer,
    ) -> None:
        self._connection = connection
        self._requests = requests
        self._clock = clock
        self._options = options
        self._buffer = buffer
        self._retry_log = RetryLog(clock)
        self._published = self._confirmed = self._failed = self._resent = self._in_progress = 0
        self._running: list[Deferred[PubAck]] = []
        self._is_abandoned = False

    def account(self) -> PublisherAccount:
        """What became of the messages of all batches."""
        return PublisherAccount(
            published=self._published,
            confirmed=self._confirmed,
            failed=self._failed,
            dropped=0,
            resent=self._resent,
            in_progress=self._in_progress,
        )

    def publish(self, messages: Sequence[BatchMessage], *, is_kept: bool = True) -> Deferred[PubAck]:
        """
        Publish a batch.

        :param is_kept: whether it is sent again when a failure may pass.
        :return: fires with the acknowledgement of the last message. Cancelling it ends the wait; the batch may be
            stored nevertheless. Fails with :class:`~natsroute.errors.PublishBufferFullError` if the buffer is full.
        """
        count = len(messages)
        size = sum(len(message.data) + len(message.block) for message in messages)
        self._published += count
        buffer = self._buffer
        buffer.messages += count
        buffer.bytes += size
        if buffer.is_exceeded:
            self._failed += count
            buffer.release(count - 1, 0)  # the error counts one message less than there are
            error = buffer.full_error(size)
            buffer.release(1, size)
            return fail(error)
        if buffer.messages > buffer.high_water_messages or buffer.bytes > buffer.high_water_bytes:
            buffer.signal_high_water()
        self._in_progress += count
        running: Deferred[PubAck] = Deferred.fromCoroutine(self._publish(messages, is_kept=is_kept))
        self._running.append(running)

        def ended(result: Any) -> Any:
            self._running.remove(running)
            self._in_progress -= count
            buffer.release(count, size)
            if buffer.is_above:
                buffer.signal_low_water()
            if isinstance(result, PubAck):
                self._confirmed += count
                return result
            self._failed += count
            is_stopped = self._is_abandoned and result.check(CancelledError)
            return Failure(PublisherStoppedError(_STOPPED)) if is_stopped else result

        # Another Deferred, so that flush() does not wait for the callbacks of the program.
        published: Deferred[PubAck] = Deferred(lambda _: running.cancel())
        running.addBoth(ended).addBoth(published.callback)
        return published

    def flush(self) -> Deferred[None]:
        """Fires when each batch so far has ended."""
        flushed: Deferred[None] = Deferred()
        waiting = [*self._running]

        def ended(result: Any) -> Any:
            waiting.pop()
            if not waiting:
                flushed.callback(None)
            return result

        if not waiting:
            flushed.callback(None)
        for running in tuple(waiting):
            running.addBoth(ended)
        return flushed

    def abandon(self) -> None:
        """Fail all batches that have not ended."""
        self._is_abandoned = True
        try:
            for running in tuple(self._running):
                running.cancel()
        finally:
            self._is_abandoned = False

    # -- one batch ----------------------------------------------------------------------------------------------------

    async def _publish(self, messages: Sequence[BatchMessage], *, is_kept: bool) -> PubAck:
        all_are_ours = not any(message.has_id for message in messages)
        messages = [message.with_id() for message in messages]
        began, max_age = self._clock.seconds(), self._options.max_age
        failures = incomplete = 0
        error: Exception
        while True:
            batch_id = _new_id()
            try:
                return await self._send(messages, batch_id)
            except DuplicateInBatchError:
                if not (failures and all_are_ours):
                    raise
                # Nobody else has these ids, so it was stored when it was sent before.
                return PubAck("", 0, duplicate=True, batch=batch_id.decode(), count=len(messages))
            except (ConnectionLostError, RequestTimeoutError) as problem:
                error = problem.with_traceback(None)  # which has this frame
            except NoRespondersError:
                error = NoStreamError(messages[0].subject)
            except JetStreamError as problem:
                incomplete = incomplete + 1 if problem.err_code == _INCOMPLETE else 0
                if not may_pass(problem) and not 0 < incomplete < _MAX_INCOMPLETE:
                    raise
                error = problem.with_traceback(None)
            delay = RETRY_DELAYS[min(failures, len(RETRY_DELAYS) - 1)]
            if not is_kept or (max_age and self._clock.seconds() + delay >= began + max_age):
                says_why = not is_kept or isinstance(error, NoStreamError)
                try:
                    raise error if says_why else PublishExpiredError(max_age)
                finally:
                    del error  # its traceback has this frame
            await deferLater(self._clock, delay)
            failures += 1
            self._resent += len(messages)
            self._retry_log.add(messages[0].subject, error)

    async def _send(self, messages: Sequence[BatchMessage], batch_id: bytes) -> PubAck:
        """Send a batch once."""
        numbered = [
            message.with_lines(b"Nats-Batch-Id: %b\r\nNats-Batch-Sequence: %d\r\n" % (batch_id, number))
            for number, message in enumerate(messages, 1)
        ]
        numbered[-1] = numbered[-1].with_lines(b"Nats-Batch-Commit: 1\r\n")
        *others, last = numbered
        if others:
            answer = await self._ask(others[0])
            if answer.data:  # the server has not begun a batch
                parse_pub_ack(answer)
                raise BatchError(_NOT_ATOMIC)
            self._write(others[1:])
        ack = parse_pub_ack(await self._ask(last))
        if ack.batch is None:
            raise BatchError(_NOT_ATOMIC)
        return ack

    def _ask(self, message: BatchMessage) -> Deferred[Message]:
        return self._requests.request(message.subject, message.data, self._options.ack_timeout, message.block)

    def _write(self, messages: Sequence[BatchMessage]) -> None:
        limit = self._connection.max_payload
        if limit is not None:
            for message in messages:
                size = len(message.data) + len(message.block)
                if size > limit:
                    raise PayloadTooLargeError(size, limit)
        commands = [encode_pub(one.subject, one.data, None, one.block) for one in messages]
        if commands and not self._connection.write(b"".join(commands), len(commands)):
            raise ConnectionLostError("the connection was lost in the middle of a batch")
