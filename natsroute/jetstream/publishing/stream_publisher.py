"""
Publishing to streams: each message is sent until its stream has acknowledged it.

Many messages are in flight at once. Those of a reactor turn go out in one write, and the acknowledgements come back
through one subscription. Each message has an id, so a stream drops what was sent twice (within its
``duplicate_window``). After a lost connection everything that is not acknowledged is sent again, in order. What holds
for the order of the messages to one subject is in :mod:`natsroute.jetstream.publishing.stream_subject`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute.client.connection import Connection
from natsroute.client.state import State
from natsroute.confirmation import UnhandledFailureLog
from natsroute.errors import (
    ConnectionLostError,
    HeaderError,
    NoRespondersError,
    PayloadTooLargeError,
    PermissionsError,
    PublisherStoppedError,
    PublishExpiredError,
    RequestTimeoutError,
    ServerError,
)
from natsroute.jetstream.errors import JetStreamError, NoStreamError
from natsroute.jetstream.publishing.outgoing_message import OutgoingMessage
from natsroute.jetstream.publishing.payload_queue import PayloadQueue
from natsroute.jetstream.publishing.pub_ack import may_pass, parse_pub_ack, usual_ack_reader
from natsroute.jetstream.publishing.retry_log import RetryLog
from natsroute.jetstream.publishing.stream_options import NOT_CONNECTED, Buffer, StreamPublishOptions, why_refused
from natsroute.jetstream.publishing.stream_outcomes import StreamOutcomes
from natsroute.jetstream.publishing.stream_subject import StreamSubject
from natsroute.jetstream.publishing.stream_timers import StreamTimers
from natsroute.jetstream.publishing.stream_tokens import StreamTokens
from natsroute.jetstream.publishing.stream_writer import StreamWriter
from natsroute.ledger import PublisherAccount
from natsroute.wire.encoder import read_pub
from natsroute.wire.frames import MAX_PAYLOAD_LIMIT, Msg
from natsroute.wire.headers import NO_HEADERS

#: What a connection does before it is connected for the first time.
_STARTING = (State.WAITING, State.CONNECTING)

_LOST = "the connection was lost before a stream acknowledged the message, and its policy is 'fail'"
_STOPPED = "the publisher stopped before a stream acknowledged the message"


class JetStreamPublisher:
    """
    Publishes to streams over one connection.

    Its owner calls :meth:`connected`, :meth:`disconnected`, :meth:`limits_changed` and :meth:`refused`. All methods run
    in the reactor thread.

    :param connection: writes, and receives the acknowledgements.
    :param run_in_pool: runs a function in the thread pool.
    :param buffer: bounds what it holds.
    :param unhandled: logs failures that nobody handles.
    :param inbox_prefix: what the reply subjects begin with.

    :ivar late: answers to messages that had been acknowledged or had failed before.

    The other attributes are for :mod:`natsroute.jetstream.publishing.stream_subject`, whose hot path uses them.
    """

    def __init__(
        self,
        connection: Connection,
        clock: IReactorTime,
        run_in_pool: Callable[[Callable[[], None]], Deferred[None]],
        buffer: Buffer,
        unhandled: UnhandledFailureLog,
        options: StreamPublishOptions = StreamPublishOptions(),
        *,
        inbox_prefix: str = "_INBOX",
    ) -> None:
        self.late = 0
        self.published = 0
        self.buffer = buffer
        self.max_payload = MAX_PAYLOAD_LIMIT  # until a server announces its own
        self.unacknowledged: dict[str, OutgoingMessage] = {}  # by reply subject
        self.tokens = StreamTokens(inbox_prefix)
        self.timers = StreamTimers(clock, options, self._look, self._after_change)
        self.writer = StreamWriter(clock, connection.write, self.timers.watch, self._withdraw_cancelled)
        self.payloads = PayloadQueue(run_in_pool, self._has_space, self._payload_made)
        self._read_usual = usual_ack_reader()
        self._connection = connection
        self._clock = clock
        self._options = options
        self._outcomes = StreamOutcomes(clock, buffer, unhandled)
        # A subject lives as long as somebody publishes to it or a message is on its way. There is one object for each,
        # because the order of its messages is kept there.
        self._subjects: WeakValueDictionary[str, StreamSubject] = WeakValueDictionary()
        self._is_subscribed = False
        self._has_headers = True
        self._resent = 0
        self._drain_waiters: list[Deferred[None]] = []
        self._has_cancelled = False
        self._retry_log = RetryLog(clock)

    def subject(self, name: str) -> StreamSubject:
        """
        What publishes to one subject. It may be kept until :meth:`drain`.

        :raises SubjectError: the subject is invalid.
        """
        target = self._subjects.get(name)
        if target is None:
            target = self._subjects[name] = StreamSubject(name, self, self._options.window)
        return target

    def account(self) -> PublisherAccount:
        """What became of the messages."""
        return self._outcomes.account(self.published, self._resent, len(self.unacknowledged))

    # -- for the subjects ---------------------------------------------------------------------------------------------

    def refuses(self, message: OutgoingMessage, size: int, policy: str) -> bool:
        """
        Fail the newest message if it cannot be taken.

        :param size: bytes of headers and payload.
        """
        error = why_refused(self.buffer, message, policy, is_connected=self.writer.is_connected)
        if error is None and size > self.max_payload:
            error = self._too_large(size)
        if error is not None:
            self._outcomes.refuse(message, error)
            self._after_change()
        return error is not None

    def _too_large(self, size: int) -> Exception:
        return PayloadTooLargeError(size, self.max_payload) if self._has_headers else HeaderError(NO_HEADERS)

    # -- answers ------------------------------------------------------------------------------------------------------

    def _answered(self, msg: Msg) -> None:
        """An answer to a message. This is the hot path, so what methods of others would do is written out."""
        message = self.unacknowledged.pop(msg.address.subject, None)
        if message is None:
            self.late += 1
            return
        ack: Any = self._read_usual(msg.data)
        if ack is None:
            self._read_answer(message, msg)
            return
        target, buffer, outcomes, writer = message.target, self.buffer, self._outcomes, self.writer
        if message.written is not None:
            writer.in_flight -= 1
            target.in_flight -= 1
            if target.is_held:
                target.acknowledged()
        outcomes.confirmed += 1
        buffer.messages -= 1
        buffer.bytes -= message.size
        message.command = None
        if outcomes.flushes:  # before the callbacks, which may flush
            outcomes.ended(message)
        confirmation = message.confirmation
        if confirmation.has_callbacks:
            if not confirmation.called:
                confirmation.callback(ack)
        else:  # the effect of callback(), at a fraction of its cost
            confirmation.called = True
            confirmation.result = ack
        if writer.waiting and writer.next_flush is None:
            writer.write_later()
        if buffer.is_above:
            buffer.signal_low_water()
        if self._drain_waiters or self.payloads.queue:
            self._after_change()

    def _read_answer(self, message: OutgoingMessage, msg: Msg) -> None:
        """Any other answer."""
        problem: JetStreamError
        try:
            ack = parse_pub_ack(msg)
        except NoRespondersError:
            problem = NoStreamError(message.target.name)
        except JetStreamError as error:
            problem = error.with_traceback(None)  # which has this frame, and the subject keeps the error
        else:
            self._not_in_flight(message, answered=True)
            self._outcomes.confirm(message, ack)
            self._after_change()
            return
        if may_pass(problem) and message.confirmation.resendable:
            self.unacknowledged[msg.subject] = message
            self._send_again(message, problem)
        else:
            self._not_in_flight(message, answered=True)
            self._outcomes.fail(message, problem)
        self._after_change()

    def _not_in_flight(self, message: OutgoingMessage, *, answered: bool) -> None:
        """A message ends: one of its subject less is in flight, if it was."""
        message.command = None
        if message.written is None:
            self.writer.needs_look = True  # it may be among those to write
            message.target.release()  # or the others may have waited for it
            return
        target = message.target
        self.writer.in_flight -= 1
        if answered:
            target.in_flight -= 1
            target.acknowledged()
        else:
            target.withdrawn()
        message.written = None

    def _send_again(self, message: OutgoingMessage, problem: Exception) -> None:
        """A message has failed in a way that may pass."""
        if message.written is None:
            return  # it is going to be sent again
        self.writer.in_flight -= 1
        self._resent += 1
        target = message.target
        target.failed(message, problem)
        self._retry_log.add(target.name, problem)

    # -- the connection -----------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """There is a connection: write what waits."""
        if not self._is_subscribed:  # the subscription outlives the connection to this server
            self._is_subscribed = True
            self._connection.subscribe(f"{self.tokens.base}*", self._answered)
        self.writer.connected()
        self.limits_changed()

    def limits_changed(self) -> None:
        """The server has announced its limits. Messages fail for which it would close the connection."""
        info, earlier = self._connection.info, self.max_payload
        if info is not None:
            self._has_headers = info.headers
            self.max_payload = info.max_payload if info.headers else -1
        if self.max_payload < earlier:
            for reply, message in [*self.unacknowledged.items()]:
                command = message.command
                # For most messages, the length says enough. To read the size takes ten times as long.
                if command and len(command) > self.max_payload and (size := read_pub(command).size) > self.max_payload:
                    self._fail(reply, self._too_large(size))
        self._after_change()

    def disconnected(self, reason: Exception | None = None, *, cleanly: bool = False) -> None:
        """The connection ended: what is not acknowledged is sent again over the next one."""
        self.writer.disconnected()
        self.timers.stop_retries()
        messages = sorted(
            self.unacknowledged.items(), key=lambda item: item[1].number
        )  # those that were refused were added again
        targets = [*self._subjects.values()]
        for target in targets:
            target.restart()
        self.unacknowledged = dict(messages)
        for reply, message in messages:
            was_written, message.written = message.written is not None, None
            if message.confirmation.resendable:
                self._resent += was_written
                message.target.readd(message)
            else:
                self._fail(reply, ConnectionLostError(_LOST if was_written else NOT_CONNECTED))
        for target in targets:
            target.release()
        self._after_change()

    def refused(self, error: ServerError) -> None:
        """The server sent an error. If it refuses a subject, the messages to it fail."""
        if isinstance(error, PermissionsError) and error.operation in ("publish", "reply"):
            refused = [
                reply
                for reply, message in self.unacknowledged.items()
                if message.written is not None and error.subject in (message.target.name, reply)
            ]
            self.writer.unwritten()  # those were not refused yet
            for reply in refused:
                if self.unacknowledged[reply].written is not None:
                    self._fail(reply, error)
            self.writer.write_later()
            self._after_change()

    # -- the end ------------------------------------------------------------------------------------------------------

    def flush(self) -> Deferred[None]:
        """Fires when each message that was published so far is acknowledged or has failed."""
        return self._outcomes.flush(self.unacknowledged.values(), self.published)

    def drain(self) -> Deferred[None]:
        """Fires when each message is acknowledged or has failed. No message may be added after this call."""
        drained: Deferred[None] = Deferred()
        self._drain_waiters.append(drained)
        self._after_change()
        return drained

    def abandon(self) -> None:
        """Fail all messages that are not acknowledged."""
        for reply in [*self.unacknowledged]:
            self._fail(reply, PublisherStoppedError(_STOPPED))
        self._after_change()

    def cancelled(self) -> None:
        """A Deferred is cancelled. Its message is withdrawn if it is not written yet."""
        if not self._has_cancelled:
            self._has_cancelled = self.writer.needs_look = True
            self._clock.callLater(0, self._withdraw_cancelled)

    def _withdraw_cancelled(self) -> None:
        if not self._has_cancelled:
            return
        self._has_cancelled = False
        self.writer.unwritten()
        for reply, message in [*self.unacknowledged.items()]:
            if message.confirmation.called and message.written is None:
                self._fail(reply, CancelledError())
        self.writer.write_later()
        self._after_change()

    def _fail(self, reply: str, error: Exception | Failure) -> None:
        """Fail a message, wherever it is."""
        if self.writer.gathered:
            self.writer.unwritten()
        message = self.unacknowledged.pop(reply)
        self._not_in_flight(message, answered=False)
        self._outcomes.fail(message, error)

    def _after_change(self) -> None:
        """Fire what is due after a change."""
        self._outcomes.fire()
        if self.buffer.is_above:
            self.buffer.signal_low_water()
        if self.payloads.queue:
            self.payloads.go_on()
        if self.writer.waiting:
            self.writer.write_later()
        if self._drain_waiters:
            self._finish_drain()

    def _finish_drain(self) -> None:
        if self.unacknowledged:
            is_starting = not self._is_subscribed and self._connection.state in _STARTING
            if not self.writer.is_connected and not is_starting:
                self.abandon()
            return
        waiters, self._drain_waiters = self._drain_waiters, []
        self.timers.stop()
        for waiter in waiters:
            self._outcomes.call(partial(waiter.callback, None))
        self._outcomes.fire()

    # -- age, and payloads from the pool ------------------------------------------------------------------------------

    def _look(self) -> bool:
        """Fail what is too old, and send again what is overdue. Returns whether there is more to watch."""
        self.writer.unwritten()
        for reply, message in self.timers.due(self.unacknowledged):
            problem = message.target.problem
            if self.timers.is_old(message):
                is_refused = isinstance(problem, NoStreamError) and message.written is None
                error = NoStreamError(message.target.name) if is_refused else PublishExpiredError(self._options.max_age)
                self._fail(reply, error)
            elif message.confirmation.resendable:
                self._send_again(message, RequestTimeoutError(message.target.name, self._options.ack_timeout))
            else:
                self._fail(reply, RequestTimeoutError(message.target.name, self._options.ack_timeout))
        self._after_change()
        return bool(self.unacknowledged) or self.writer.next_flush is not None

    def _has_space(self) -> bool:
        """Whether another payload may be made: it fits, or nothing else is going to make space for it."""
        return self.buffer.free > 0 or (self.writer.is_connected and not (self.writer.in_flight or self.writer.blocked))

    def _payload_made(self, message: OutgoingMessage, made: bytes | Failure) -> None:
        if message.command is None:  # it has ended
            return
        if isinstance(made, bytes):
            size = read_pub(made).size
            self.buffer.bytes += len(made) - message.size
            message.size = len(made)
            message.command = made
            if size <= self.max_payload:
                message.target.release()
                self._after_change()
                return
            made = Failure(self._too_large(size))
        self._fail(next(reply for reply, one in self.unacknowledged.items() if one is message), made)
        self._after_change()
