"""
One publish worker: it takes messages and gets them confirmed, over a link that comes and goes.

A worker writes all messages of a reactor turn as one batch, or as several if they are many, with a PING after each. The
PONG says that the server has everything before it, and the Deferreds of the batch fire. Batches that were not confirmed
when the connection ended are sent again, first and in order, without the messages whose policy is ``fail``. Messages
that are older than ``max_age`` fail.

The thread pool calls the payloads that are callables, one after the other, and as many at a time as have space in the
buffer. A batch without them does not go through the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.confirmation import Confirmation, UnhandledFailureLog
from natsroute.errors import (
    ConnectionLostError,
    PayloadTooLargeError,
    PayloadViolationError,
    PublisherStoppedError,
    PublishExpiredError,
    ServerError,
)
from natsroute.ledger import PublisherAccount
from natsroute.publishing.batch_writer import BatchWriter
from natsroute.publishing.batches import Batch, Command, Messages, ServerLimits, Unserialised, sendable, serialise
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.flushes import Flushes
from natsroute.publishing.options import Link, PublishLimits, RunInPool
from natsroute.publishing.outcomes import OnConfirmed, Outcomes
from natsroute.publishing.queue import Queue
from natsroute.publishing.resend_window import ResendWindow
from natsroute.publishing.written_batches import WrittenBatches
from natsroute.turns import Turn

_LOST = "the connection was lost before the server confirmed the message, and its policy is 'fail'"
_STOPPED = "the publisher stopped before the server confirmed the message"
_NOT_CONNECTED = "there is no connection to a NATS server, and the policy of the message is 'fail'"


class PublishWorker:
    """
    Publishes over one link.

    A message is gathered, then queued, then serialised if it needs the pool, and then written.

    Its owner calls :meth:`connected`, :meth:`disconnected`, :meth:`limits_changed` and :meth:`refused`. All methods run
    in the reactor thread.

    :ivar buffer: counts what it holds, and knows what the server takes.
    :ivar written: what was written and is not confirmed.

    :param unhandled: logs failures that nobody handles.
    :param late_pings: see :class:`~natsroute.publishing.batch_writer.BatchWriter`.
    :param on_high_water: called when the buffer is more than half full.
    :param on_low_water: called after that, when the buffer is down to a quarter.
    :param on_confirmed: see :class:`~natsroute.publishing.outcomes.Outcomes`.
    """

    def __init__(
        self,
        link: Link,
        clock: IReactorTime,
        run_in_pool: RunInPool,
        limits: PublishLimits,
        on_high_water: Callable[[], None],
        on_low_water: Callable[[], None],
        unhandled: UnhandledFailureLog,
        late_pings: set[BatchWriter],
        on_confirmed: OnConfirmed | None = None,
    ) -> None:
        self._link = link
        self._clock = clock
        self._run_in_pool = run_in_pool
        self._max_age = limits.max_age
        self.buffer = Buffer(limits, on_high_water, on_low_water)
        self._outcomes = Outcomes(clock, self.buffer, unhandled, self._outcomes_fired, on_confirmed)
        self._resent = 0
        # The messages of a batch expire together, so their ages must not differ much.
        self._queue = Queue(self.buffer, limits.max_age / 20 or float("inf"))
        self._serialising = Messages()
        self.written = self._written = WrittenBatches(clock, partial(self._passed, later=True))
        self._writer = BatchWriter(link, clock, self._written, self._confirm, late_pings)
        self._resend_window = ResendWindow(clock, limits.resend_window, limits.bytes // 4)
        self._next_flush: IDelayedCall | None = None
        self._next_expiry: IDelayedCall | None = None
        self._next_resend: IDelayedCall | None = None
        self._is_connected = False  # between connected() and disconnected()
        self._has_cancelled = self._has_cancelled_serialising = False  # a Deferred was cancelled since the last look
        self._flushes = Flushes(clock, self._held, lambda: self._written.is_in_order)
        self._drain_waiters: list[Deferred[None]] = []

    def account(self) -> PublisherAccount:
        """What became of the messages of this worker."""
        return self._outcomes.account(self._resent, self._held())

    def _held(self) -> Iterator[Messages | Batch]:
        """All messages that are neither confirmed nor failed, the oldest first."""
        return chain(self._written, (self._serialising,), self._queue)

    @property
    def _waits(self) -> bool:
        """Whether messages of earlier turns are not written yet."""
        return bool(self._queue.waiting or self._serialising.commands)

    def add(self, confirmation: Confirmation, command: Command, size: int, policy: str = "keep") -> None:
        """
        Take a message. Plain ones come here only if they are the first of a turn of the reactor: see
        :class:`~natsroute.hot.pure.Tray`.

        :param confirmation: its Deferred.
        :param size: bytes of headers and payload, which ``max_payload`` limits; 0 if unserialised.
        """
        buffer = self.buffer
        buffer.messages = messages = buffer.messages + 1
        buffer.bytes = bytes_held = buffer.bytes + len(command)
        is_above_high_water = messages > buffer.high_water_messages or bytes_held > buffer.high_water_bytes
        if is_above_high_water:
            if policy == "drop":
                self._outcomes.drop(confirmation, command)
                self._after_change()
                return
            if buffer.is_exceeded:
                self._refuse(confirmation, command, buffer.full_error(len(command)))
                return
        if size > buffer.max_payload:
            self._refuse(confirmation, command, PayloadTooLargeError(size, buffer.max_payload))
            return
        gathered = self._queue.gathered()
        if policy == "fail":
            if self._link.max_payload is None:
                self._refuse(confirmation, command, ConnectionLostError(_NOT_CONNECTED))
                return
            confirmation.resendable = gathered.all_resendable = False
        gathered.confirmations.append(confirmation)
        gathered.commands.append(command)
        if type(command) is Unserialised:
            gathered.unserialised.append(command)
        if is_above_high_water:
            buffer.signal_high_water()
        if self._next_flush is None:
            gathered.since = now = self._clock.seconds()
            if self._next_expiry is None and self._max_age:
                self._next_expiry = self._clock.callLater(self._max_age, self._expire)
            if self._is_connected and not self._waits and type(command) is bytes and self._writer.writes_alone(now):
                buffer.gather(Messages(now))
                self._writer.write_alone(gathered.to_batch(), now)
                return
            self._next_flush = self._clock.callLater(0, self._flush)
        buffer.open()  # the rest of this turn needs no more than to be added

    def _refuse(self, confirmation: Confirmation, command: Command, error: Exception) -> None:
        """Fail the newest message."""
        self._outcomes.refuse(confirmation, command, error)
        self._after_change()

    # -- the link ---------------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """The link has a connection: send again what was not confirmed, then send what is queued."""
        if self._written.unconfirmed:  # on a connection whose end was not reported, as when the link was stopped
            self.disconnected()
        self.limits_changed()
        info = self._link.info
        self._written.connected("" if info is None else info.server_id, self._outcomes.fail)
        if self._max_age:
            self._written.forget_confirmed(self._clock.seconds() - self._max_age)
        self._is_connected = True
        self._go_on()
        self._after_change()

    def limits_changed(self) -> None:
        """The server has announced its limits. Messages fail for which it would close the connection."""
        self._writer.ping()  # the server may be about to be left, and no PING can be written then
        info = self._link.info
        if info is None:
            return
        earlier, limits = self.buffer.server_limits, ServerLimits(info.max_payload, info.headers)
        self.buffer.server_limits = limits
        if limits.is_stricter_than(earlier):
            self._written.limit(limits, self._outcomes.fail_later)
            self._queue.limit(limits, self._outcomes.fail_later)
            self._after_change()

    def disconnected(self, reason: Exception | None = None, *, cleanly: bool = False) -> None:
        """
        The connection ended: what it did not confirm is sent first over the next one.

        :param reason: why; None if we ended it. If it ends over the same message again and again, that fails with this.
        :param cleanly: whether we left the server, which then has passed on all that it confirmed.
        """
        self._is_connected = False
        self._writer.forget()
        just_confirmed = self._resend_window.take()
        unresendable = self._written.link_lost([] if cleanly else just_confirmed, reason, self._outcomes.fail)
        if isinstance(reason, PayloadViolationError):
            # It may have announced them when we had written.
            self._written.limit(self.buffer.server_limits, self._outcomes.fail_later)
        unresendable += self._queue.take_unresendable()
        self._outcomes.fail_all(unresendable, lambda: ConnectionLostError(_LOST))
        self._after_change()

    def refused(self, error: ServerError) -> None:
        """The server sent an error. If it is about a message, that fails when the PONG of its batch arrives."""
        self._written.refused(error)

    # -- the end ----------------------------------------------------------------------------------------------------

    def flush(self) -> Deferred[None]:
        """Fires when each message that was added so far is confirmed or has failed."""
        if self._next_flush is not None:
            self._next_flush.cancel()
        self._flush()
        self._writer.ping()
        flushed = self._flushes.add()
        self._after_change()
        return flushed

    def drain(self) -> Deferred[None]:
        """Fires when each message is confirmed or has failed. No message may be added after this call."""
        drained: Deferred[None] = Deferred()
        self._drain_waiters.append(drained)
        self._writer.ping()
        self._finish_drain()
        return drained

    def abandon(self) -> None:
        """Fail all messages that are not confirmed."""
        held = [messages for messages in self._held() if messages.confirmations]
        self._writer.ping()  # errors that come before the PONG are not about later messages
        self._written.clear()
        self._queue.clear()
        self._serialising = Messages()
        self._outcomes.fail_all(held, lambda: PublisherStoppedError(_STOPPED))
        self._after_change()

    # -- from gathered to confirmed ---------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Queue the messages of this turn, and send what can be sent."""
        self._next_flush = None
        self._queue.end_turn()
        self._send()

    def _send(self) -> None:
        """Write what is queued, or give it to the pool."""
        if self._has_cancelled:
            self._withdraw_cancelled()
        if not self._is_connected:  # what another observer of the connection publishes is sent by connected()
            return
        waiting = self._queue.waiting
        while waiting and not self._serialising.commands and self._link.max_payload is not None:
            if self._written.holds_back:
                return
            messages = waiting[0]
            if messages.unserialised:
                space = self.buffer.free
                if space <= 0 and (self._written.unconfirmed or self._outcomes.unfired):
                    return  # the next confirmation makes space
                self._serialising = waiting.popleft()
                self._run_in_pool(partial(serialise, messages.unserialised, space)).addBoth(self._serialised, messages)
            else:
                self._writer.write(waiting.popleft().to_batch())

    def _serialised(self, _: object, messages: Messages) -> None:
        if self._serialising is not messages:
            return  # they expired or were abandoned meanwhile
        self._serialising = Messages()
        self.buffer.grow(sum(command.growth for command in messages.unserialised))
        rest = messages.take_unserialised()
        messages = sendable(messages, self.buffer.server_limits, self._outcomes.fail_later)
        if self._has_cancelled_serialising:
            self._has_cancelled_serialising = False
            for part in (messages, rest):
                self._outcomes.withdraw(part.take_cancelled())
        self._queue.waiting.extendleft(part for part in (rest, messages) if part.commands)
        if self._link.max_payload is None:
            unresendable = [messages.take_unresendable(), rest.take_unresendable()]
            self._outcomes.fail_all(unresendable, lambda: ConnectionLostError(_NOT_CONNECTED))
        self._send()
        self._after_change()

    def _go_on(self, *, resumes: bool = False) -> None:
        """Write what is to be sent again, in turns of the reactor if that is much, and then what is queued."""
        if resumes:
            self._next_resend = None
        if self._next_resend is not None or not self._is_connected:
            return
        turn = Turn(self._clock)
        while self._link.max_payload is not None and (batch := self._written.next_to_resend()) is not None:
            self._resent += batch.messages
            self._writer.write(batch)
            if self._written.has_to_resend and turn.is_over():
                self._next_resend = self._clock.callLater(0, partial(self._go_on, resumes=True))
                return
        self._send()
        if self._drain_waiters:
            self._finish_drain()

    def _confirm(self, batch: Batch) -> None:
        confirmed = self._written.confirm(batch, self._outcomes.fail)
        if confirmed is None:
            return
        self._passed(confirmed)
        self._after_change()
        if self._queue.waiting or self._written.has_to_resend:
            self._go_on()

    def _passed(self, confirmed: Batch, *, later: bool = False) -> None:
        """The server has these messages. Later: it refused one behind them, so nothing may fire yet."""
        if confirmed.data:
            self._resend_window.add(confirmed)
            if confirmed.confirmations:
                confirm = self._outcomes.confirm_later if later else self._outcomes.confirm
                confirm(confirmed.confirmations, len(confirmed.data), confirmed.since)

    # -- cancelling, and age ---------------------------------------------------------------------------------------

    def cancelled(self) -> None:
        """A Deferred is cancelled. Its message is withdrawn if it is not written yet."""
        if not self._has_cancelled:
            self._has_cancelled = True
            self._clock.callLater(0, self._withdraw_cancelled)

    def _withdraw_cancelled(self) -> None:
        self._has_cancelled = False
        self._has_cancelled_serialising = bool(self._serialising.commands)  # a thread works on these
        for cancelled in self._queue.take_cancelled():
            self._outcomes.withdraw(cancelled)
        self._after_change()

    def _expire(self) -> None:
        """Fail what is too old, and schedule the next call."""
        self._next_expiry = None
        now = self._clock.seconds()
        written = (batch for batch in self._written if batch.confirmations and self._is_old(batch, now))
        expired: list[Messages | Batch] = [batch.take() for batch in written]
        if self._serialising.commands and self._is_old(self._serialising, now):
            expired.append(self._serialising)
            self._serialising = Messages()
        expired += self._queue.take_old(partial(self._is_old, now=now))
        self._outcomes.fail_all(expired, lambda: PublishExpiredError(self._max_age))
        left = [messages.since for messages in self._held() if messages.confirmations]
        if left:
            # After a busy moment of the reactor, gathered messages may be too old already.
            self._next_expiry = self._clock.callLater(max(0.0, min(left) + self._max_age - now), self._expire)
        self._send()
        self._after_change()

    def _is_old(self, messages: Messages | Batch, now: float) -> bool:
        return messages.since + self._max_age <= now

    # -- what others wait for ---------------------------------------------------------------------------------------

    def _after_change(self) -> None:
        """Fire what is due after a change: Deferreds, the low-water mark, flushes and the drain."""
        if self._outcomes.pending:
            self._outcomes.fire()
        if self.buffer.is_above:
            self.buffer.signal_low_water()
        if self._flushes.waiters:
            self._outcomes.call(*self._flushes.take_ended(self._outcomes.ended))
            self._outcomes.fire()
        if self._drain_waiters:
            self._finish_drain()

    def _outcomes_fired(self) -> None:
        self._send()  # there may be space for what the pool has to serialise
        self._after_change()

    def _finish_drain(self) -> None:
        if self.buffer.messages > self._outcomes.unfired:
            if self._link.max_payload is None and not self._written.unconfirmed:
                # No server is there to confirm, not even one we leave. abandon() calls this again, holding nothing.
                self.abandon()
        elif not self.buffer.messages and not (self._is_connected and self._written.has_to_resend):
            drained, self._drain_waiters = self._drain_waiters, []
            # What is left are batches without messages, whose PONGs may never come, and confirmed messages.
            self._written.clear()
            self._resend_window.clear()
            if self._next_expiry is not None:
                self._next_expiry.cancel()
                self._next_expiry = None
            self._outcomes.call(*(partial(waiter.callback, None) for waiter in drained))
            self._outcomes.fire()
