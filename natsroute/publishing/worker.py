"""
One publish worker: messages in, confirmed messages out, over a link that comes and goes.

It takes all that waits in one go and puts a PING behind it; the PONG says that the server has all before it, and their
Deferreds fire. What was not confirmed when the connection ended is sent again, first and in order, unless its policy is
``fail``; what is older than ``max_age`` fails.

Payloads that can block or are heavy (callables, and objects that become JSON) are made into bytes in the pool, a batch
at a time; a batch of ready bytes does not go through a thread, since there is nothing left to make.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.errors import (
    ConnectionLostError,
    PayloadTooLargeError,
    PermissionsError,
    PublisherStoppedError,
    PublishExpiredError,
)
from natsroute.publishing.batches import Batch, Messages, Unserialised
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.complaints import UnhandledFailureLog
from natsroute.publishing.confirmation import Confirmation, confirm_all
from natsroute.publishing.losses import Failures
from natsroute.publishing.options import Link, PublishLimits, RunInPool
from natsroute.publishing.resend_window import ResendWindow
from natsroute.publishing.sieve import fitting, kept, permitted, sendable
from natsroute.wire.encoder import split_pubs
from natsroute.wire.frames import MAX_PAYLOAD_LIMIT


class PublishWorker:
    """
    Publishes over one link. Its owner tells it when the link is :meth:`connected` and :meth:`disconnected`.

    :ivar confirmed: messages that the server has.
    :ivar resent: messages sent again after a reconnect.
    :ivar losses: counts those that it will not have.
    """

    def __init__(
        self,
        link: Link,
        clock: IReactorTime,
        run_in_pool: RunInPool,
        limits: PublishLimits,
        on_high_water: Callable[[], None],
        on_low_water: Callable[[], None],
        complaints: UnhandledFailureLog,
    ) -> None:
        self.confirmed = self.resent = 0
        self._link = link
        self._clock = clock
        self._run_in_pool = run_in_pool
        self._limits = limits
        self._room = Buffer(limits, on_high_water, on_low_water)
        self.losses = Failures(self._room, complaints)
        # All of a batch expire together, so it may not hold messages of very different ages.
        self._joined_within = limits.max_age / 20 or float("inf")
        self._waiting = Messages()  # of this turn of the reactor
        self._parked: deque[Messages] = deque()  # of earlier turns, while the link is down or the pool busy
        self._in_the_pool = Messages()
        self._unconfirmed: deque[Batch] = deque()
        self._unsure: list[Batch] = []  # written before the link was cut, and to be written again before all else
        self._settling = ResendWindow(clock, limits.resend_window, limits.bytes // 4)
        self._max_payload = MAX_PAYLOAD_LIMIT  # until a server says otherwise
        self._permission_errors: dict[str, PermissionsError] = {}
        self._next_flush: IDelayedCall | None = None
        self._next_expiry: IDelayedCall | None = None
        self._is_sparse = False  # the last batch was of one message
        self._flushes: deque[tuple[float, Deferred[None]]] = deque()
        self._drained: Deferred[None] | None = None

    @property
    def published(self) -> int:
        """Messages taken, whatever became of them."""
        return self.confirmed + self.losses.failed + self.losses.dropped + self._room.messages

    @property
    def in_progress(self) -> int:
        """Messages that are on their way here: not a counter, but as many as there are."""
        return sum(len(messages.confirmations) for messages in self._held)

    @property
    def _held(self) -> list[Messages | Batch]:
        """The oldest first."""
        return [*self._unsure, *self._unconfirmed, self._in_the_pool, *self._parked, self._waiting]

    def add(self, confirmation: Confirmation, command: bytes | Unserialised, size: int, policy: str = "keep") -> None:
        """
        Take a message.

        :param confirmation: says what became of it.
        :param command: the whole command, or what makes it.
        :param size: bytes of headers and payload, which is what ``max_payload`` bounds; 0 while that is not known.
        """
        room = self._room
        room.messages = messages = room.messages + 1
        room.bytes = size_of_all = room.bytes + len(command)
        presses = messages > room.high_water_messages or size_of_all > room.high_water_bytes
        if presses:
            if policy == "drop":
                self.losses.drop(confirmation, command)
                return
            if room.is_exceeded:
                self._refuse(confirmation, command, room.full_error(len(command)))
                return
        if size > self._max_payload:
            self._refuse(confirmation, command, PayloadTooLargeError(size, self._max_payload))
            return
        waiting = self._waiting
        if policy == "fail":
            if self._link.max_payload is None:
                self._refuse(confirmation, command, ConnectionLostError("there is no connection to a NATS server"))
                return
            confirmation.kept = waiting.all_kept = False
        waiting.confirmations.append(confirmation)
        waiting.commands.append(command)
        if type(command) is Unserialised:
            waiting.unmade.append(command)
        if presses:
            room.signal_high_water()
        if self._next_flush is None:
            waiting.since = self._clock.seconds()
            if self._next_expiry is None and self._limits.max_age:
                self._next_expiry = self._clock.callLater(self._limits.max_age, self._expire)
            if self._is_sparse and not self._unconfirmed:
                self._flush()  # nobody else is coming, so nothing is gained by waiting for them
            else:
                self._next_flush = self._clock.callLater(0, self._flush)

    def _refuse(self, confirmation: Confirmation, command: bytes | Unserialised, reason: Exception) -> None:
        """Fail a message that was not taken."""
        self.losses.fail(confirmation, command, reason)
        self._tell_news()

    def connected(self) -> None:
        """The link can be written to."""
        max_payload = self._link.max_payload or MAX_PAYLOAD_LIMIT
        unsure, self._unsure = self._unsure, []
        is_lower, self._max_payload = max_payload < self._max_payload, max_payload
        if is_lower:
            unsure = [fitting(batch, max_payload, self.losses) for batch in unsure]
            self._parked = deque(sendable(messages, max_payload, self.losses) for messages in self._parked)
            self._waiting = sendable(self._waiting, max_payload, self.losses)
        for batch in unsure:
            self.resent += sum(1 for _ in split_pubs(batch.data))
            self._write(batch)
        self._send()
        self._tell_news()

    def disconnected(self, *, cleanly: bool = False) -> None:
        """
        The link is cut: what it did not confirm goes before all else when it is back.

        :param cleanly: we left the server, it did not fail: what it confirmed it has passed on.
        """
        settling = self._settling.take()
        if not cleanly:
            self._unsure += [Batch([], data, 0.0) for data in settling]
        lost = "the connection was lost before the server confirmed it"
        unconfirmed, self._unconfirmed = self._unconfirmed, deque()
        self._unsure += [
            batch if batch.all_kept else kept(batch, lost, self.losses).as_batch()
            for batch in unconfirmed
            if batch.data  # else it has expired
        ]
        self._parked = deque(kept(messages, lost, self.losses) for messages in self._parked)
        self._waiting = kept(self._waiting, lost, self.losses)
        self._permission_errors.clear()
        self._tell_news()

    def refused(self, error: PermissionsError) -> None:
        """
        The server refused a subject. It answers in order, so that is one of the oldest unconfirmed batch, whose PONG
        comes next.
        """
        if error.operation not in ("publish", "reply") or not self._unconfirmed:
            return
        if len(self._permission_errors) < len(self._unconfirmed[0].confirmations):  # the batch cannot have more
            self._permission_errors[error.subject] = error

    def flush(self) -> Deferred[None]:
        """Fires when each message that was taken so far has been confirmed, or has failed."""
        if self._next_flush is not None:
            self._next_flush.cancel()
        self._flush()
        flushed: Deferred[None] = Deferred()
        self._flushes.append((self._clock.seconds(), flushed))
        self._tell_flushed()
        return flushed

    def drain(self) -> Deferred[None]:
        """Fires when nothing is on the way any longer; no message may be added after this."""
        drained: Deferred[None] = Deferred()
        self._drained = drained
        self._end_if_drained()
        return drained

    def abandon(self) -> None:
        """Fail all that was not confirmed."""
        held = self._held
        self._unsure = []
        self._unconfirmed.clear()
        self._parked.clear()
        self._in_the_pool = Messages()
        self._waiting = Messages()
        self._permission_errors.clear()
        said = "the publisher stopped before the server had the message"
        self.losses.fail_all((one for messages in held for one in messages), lambda: PublisherStoppedError(said))
        self._tell_news()

    # -- the way out ------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._next_flush = None
        if self._waiting.commands:
            self._waiting.forget_abandoned()
            if self._parked and self._waiting.since - self._parked[-1].since <= self._joined_within:
                self._parked[-1].before(self._waiting)
            else:
                self._parked.append(self._waiting)
            self._waiting = Messages()
        self._send()

    def _send(self) -> None:
        while self._parked and not self._in_the_pool.commands and self._link.max_payload is not None:
            messages = self._parked.popleft()
            if messages.unmade:
                self._in_the_pool = messages
                self._run_in_pool(messages.make).addBoth(self._made, messages)
            else:
                self._write(messages.as_batch())

    def _made(self, _: object, messages: Messages) -> None:
        if self._in_the_pool is not messages:
            return  # given up meanwhile
        self._in_the_pool = Messages()
        self._room.grow(sum(len(unmade) for unmade in messages.unmade))
        made = sendable(messages, self._max_payload, self.losses)
        if self._link.max_payload is None:
            lost = "there is no connection to a NATS server"
            self._parked.appendleft(kept(made, lost, self.losses))
        else:
            self._write(made.as_batch())
        self._send()
        self._tell_news()

    def _write(self, batch: Batch) -> None:
        if not batch.data:
            return
        self._unconfirmed.append(batch)
        self._is_sparse = len(batch.confirmations) <= 1
        # After a loss disconnected() does all there is to do.
        pong = self._link.write_and_ping(batch.data, len(batch.confirmations))
        pong.addCallbacks(self._confirm, lambda lost: None, callbackArgs=(batch,))

    def _confirm(self, _: None, batch: Batch) -> None:
        if not self._unconfirmed or self._unconfirmed[0] is not batch:
            return  # abandoned meanwhile
        self._unconfirmed.popleft()
        if self._permission_errors:
            errors, self._permission_errors = self._permission_errors, {}
            batch = permitted(batch, errors, self.losses)
        if batch.confirmations:
            self._settling.add(batch)
            self.confirmed += len(batch.confirmations)
            self._room.release(len(batch.confirmations), len(batch.data))
            confirm_all(batch.confirmations)
        self._tell_news()

    def _expire(self) -> None:
        """Fail what is too old, and look again when the next will be."""
        self._next_expiry = None
        now = self._clock.seconds()
        expired: list[Messages | Batch] = [
            batch for batch in (*self._unsure, *self._unconfirmed) if batch.confirmations and self._is_old(batch, now)
        ]
        if self._in_the_pool.commands and self._is_old(self._in_the_pool, now):
            expired.append(self._in_the_pool)
            self._in_the_pool = Messages()
        while self._parked and self._is_old(self._parked[0], now):
            expired.append(self._parked.popleft())
        max_age = self._limits.max_age
        self.losses.fail_all((one for messages in expired for one in messages), lambda: PublishExpiredError(max_age))
        for batch in expired:
            if isinstance(batch, Batch):  # its PONG may still come
                batch.confirmations, batch.data = [], b""
        self._unsure = [batch for batch in self._unsure if batch.data]
        left = [messages.since for messages in self._held if messages.confirmations]
        if left:
            # A busy reactor may be late, and then the messages that wait are too old already.
            self._next_expiry = self._clock.callLater(max(0.0, min(left) + max_age - now), self._expire)
        self._send()
        self._tell_news()

    def _is_old(self, messages: Messages | Batch, now: float) -> bool:
        return messages.since + self._limits.max_age <= now

    def _tell_news(self) -> None:
        """Behind each change: what failed, that there is room again, what was flushed, and that all is drained."""
        self.losses.tell()
        self._room.signal_low_water()
        if self._flushes:
            self._tell_flushed()
        self._end_if_drained()

    def _tell_flushed(self) -> None:
        while self._flushes:
            asked_at, flushed = self._flushes[0]
            if any(messages.since <= asked_at for messages in self._held if messages.confirmations):
                return
            self._flushes.popleft()
            flushed.callback(None)

    def _end_if_drained(self) -> None:
        if self._drained is None:
            return
        if self._room.messages and self._link.max_payload is None and not self._unconfirmed:
            # Nobody is there to confirm; abandon() comes back here with nothing left. (While a server is being left,
            # the link takes nothing more, and what it has taken is confirmed.)
            self.abandon()
        elif not self._room.messages:
            drained, self._drained = self._drained, None
            self._settling.stop()
            if self._next_expiry is not None:
                self._next_expiry.cancel()
                self._next_expiry = None
            drained.callback(None)
