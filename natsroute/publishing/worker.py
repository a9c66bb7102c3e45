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
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute.errors import (
    ConnectionLostError,
    PayloadTooLargeError,
    PermissionsError,
    PublishBufferFullError,
    PublishDroppedError,
    PublisherStoppedError,
    PublishExpiredError,
)
from natsroute.publishing.complaints import Complaints
from natsroute.publishing.confirmation import Confirmation, confirm_all
from natsroute.publishing.outgoing import Batch, Messages, OneMessage, Unmade, is_kept, messages_of
from natsroute.publishing.settling import Settling
from natsroute.publishing.terms import InPool, Link, PublishLimits
from natsroute.wire.encoder import read_pub, split_pubs
from natsroute.wire.frames import MOST_MAX_PAYLOAD


class PublishWorker:
    """
    Publishes over one link. Its owner tells it when the link is :meth:`connected` and :meth:`disconnected`.

    :ivar confirmed: messages that the server has.
    :ivar resent: messages sent again after a reconnect.
    :ivar failed: messages whose Deferred failed, those refused for want of room included.
    :ivar dropped: messages that gave way, as their policy asked for.
    """

    log = Logger()

    def __init__(
        self,
        link: Link,
        clock: IReactorTime,
        in_pool: InPool,
        limits: PublishLimits,
        on_pressure: Callable[[bool], None],
        complaints: Complaints,
    ) -> None:
        self.confirmed = self.resent = self.failed = self.dropped = 0
        self._link = link
        self._clock = clock
        self._in_pool = in_pool
        self._limits = limits
        self._half_of_messages = limits.messages // 2
        self._half_of_bytes = limits.bytes // 2
        self._on_pressure = on_pressure
        # All of a batch expire together, so it may not hold messages of very different ages.
        self._joined_within = limits.max_age / 20 or float("inf")
        self._pressed = False
        self._complaints = complaints
        self._waiting = Messages()  # of this turn of the reactor
        self._parked: deque[Messages] = deque()  # of earlier turns, while the link is down or the pool busy
        self._in_the_pool = Messages()
        self._unconfirmed: deque[Batch] = deque()
        self._unsure: list[Batch] = []  # written before the link was cut, and to be written again before all else
        self._settling = Settling(clock, limits.resend_window, limits.bytes // 4)
        self._messages = 0
        self._bytes = 0
        self._failures: list[tuple[Confirmation | None, Exception | Failure, Callable[[Failure], None]]] = []
        self._max_payload = MOST_MAX_PAYLOAD  # until a server says otherwise
        self._permission_errors: dict[str, PermissionsError] = {}
        self._next_flush: IDelayedCall | None = None
        self._next_expiry: IDelayedCall | None = None
        self._is_sparse = False  # the last batch was of one message
        self._flushes: deque[tuple[float, Deferred[None]]] = deque()
        self._drained: Deferred[None] | None = None

    @property
    def published(self) -> int:
        """Messages taken, whatever became of them."""
        return self.confirmed + self.failed + self.dropped + self._messages

    @property
    def in_progress(self) -> int:
        """Messages that are on their way here: not a counter, but as many as there are."""
        return sum(len(messages.confirmations) for messages in self._held)

    @property
    def _held(self) -> list[Messages | Batch]:
        """The oldest first."""
        return [*self._unsure, *self._unconfirmed, self._in_the_pool, *self._parked, self._waiting]

    def add(self, confirmation: Confirmation, command: bytes | Unmade, size: int, policy: str = "keep") -> None:
        """
        Take a message.

        :param confirmation: says what became of it.
        :param command: the whole command, or what makes it.
        :param size: bytes of headers and payload, which is what ``max_payload`` bounds; 0 while that is not known.
        """
        self._messages = messages = self._messages + 1
        self._bytes = size_of_all = self._bytes + len(command)
        presses = messages > self._half_of_messages or size_of_all > self._half_of_bytes
        if presses:
            if policy == "drop":
                self._drop(confirmation, command)
                return
            if messages > self._limits.messages or self._bytes > self._limits.bytes:
                self._refuse(confirmation, command, self._full_without(command))
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
        if type(command) is Unmade:
            waiting.unmade.append(command)
        if presses and not self._pressed:
            self._pressed = True
            self._on_pressure(True)
        if self._next_flush is None:
            waiting.since = self._clock.seconds()
            if self._next_expiry is None and self._limits.max_age:
                self._next_expiry = self._clock.callLater(self._limits.max_age, self._expire)
            if self._is_sparse and not self._unconfirmed:
                self._flush()  # nobody else is coming, so nothing is gained by waiting for them
            else:
                self._next_flush = self._clock.callLater(0, self._flush)

    def _full_without(self, command: bytes | Unmade) -> PublishBufferFullError:
        return PublishBufferFullError(
            messages=self._messages - 1,
            max_messages=self._limits.messages,
            bytes=self._bytes - len(command),
            max_bytes=self._limits.bytes,
        )

    def connected(self) -> None:
        """The link can be written to."""
        max_payload = self._link.max_payload or MOST_MAX_PAYLOAD
        unsure, self._unsure = self._unsure, []
        is_lower, self._max_payload = max_payload < self._max_payload, max_payload
        if is_lower:
            unsure = [self._fitting(batch) for batch in unsure]
            self._parked = deque(self._sendable(messages) for messages in self._parked)
            self._waiting = self._sendable(self._waiting)
        for batch in unsure:
            self.resent += sum(1 for _ in split_pubs(batch.data))
            self._write(batch)
        self._send()
        self._tell_news()

    def disconnected(self, *, in_order: bool = False) -> None:
        """
        The link is cut: what it did not confirm goes before all else when it is back.

        :param in_order: the server was left, not lost: what it confirmed it has passed on.
        """
        settling = self._settling.take()
        if not in_order:
            self._unsure += [Batch([], data, 0.0) for data in settling]
        lost = "the connection was lost before the server confirmed it"
        unconfirmed, self._unconfirmed = self._unconfirmed, deque()
        self._unsure += [
            batch if batch.all_kept else self._kept(batch, lost).as_batch()
            for batch in unconfirmed
            if batch.data  # else it has expired
        ]
        self._parked = deque(self._kept(messages, lost) for messages in self._parked)
        self._waiting = self._kept(self._waiting, lost)
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
        self._fail_all((one for messages in held for one in messages), lambda: PublisherStoppedError(said))
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
                self._in_pool(messages.make).addBoth(self._made, messages)
            else:
                self._write(messages.as_batch())

    def _made(self, _: object, messages: Messages) -> None:
        if self._in_the_pool is not messages:
            return  # given up meanwhile
        self._in_the_pool = Messages()
        self._bytes += sum(len(unmade) for unmade in messages.unmade)
        sendable = self._sendable(messages)
        if self._link.max_payload is None:
            lost = "there is no connection to a NATS server"
            self._parked.appendleft(self._kept(sendable, lost))
        else:
            self._write(sendable.as_batch())
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
            batch = self._without_refused(batch)
        if batch.confirmations:
            self._settling.add(batch)
            self.confirmed += len(batch.confirmations)
            self._messages -= len(batch.confirmations)
            self._bytes -= len(batch.data)
            confirm_all(batch.confirmations)
        self._tell_news()

    # -- what does not go out ---------------------------------------------------------------------------------------

    def _without_refused(self, batch: Batch) -> Batch:
        """What the server did not refuse."""
        errors, self._permission_errors = self._permission_errors, {}
        taken = Messages(batch.since)
        for confirmation, command in batch:
            names = read_pub(command).subjects if type(command) is bytes else []
            error = next((errors[name] for name in names if name in errors), None)
            if error is None:
                taken.add(confirmation, command)
            else:
                self._fail(confirmation, command, error)
        return taken.as_batch()

    def _sendable(self, messages: Messages | Batch) -> Messages:
        """What may be sent; the rest fails: what could not be made, and what a server with a lower limit refuses."""
        sendable = Messages(messages.since)
        for confirmation, command in messages:
            if type(command) is Unmade and command.made is not None:
                if isinstance(command.made, Failure):
                    self._fail(confirmation, command, command.made)
                    continue
                command = command.made
            if type(command) is bytes and (size := read_pub(command).size) > self._max_payload:
                self._fail(confirmation, command, PayloadTooLargeError(size, self._max_payload))
            else:
                sendable.add(confirmation, command)
        return sendable

    def _fitting(self, batch: Batch) -> Batch:
        """What of a batch this server takes."""
        if batch.confirmations:
            return self._sendable(batch).as_batch()
        # It was confirmed already: there is nobody to tell of what is left out.
        commands = (each for each in split_pubs(batch.data) if read_pub(each).size <= self._max_payload)
        return Batch([], b"".join(commands), batch.since)

    def _kept(self, messages: Messages | Batch, lost: str) -> Messages:
        """What waits for the next connection; the rest fails."""
        if isinstance(messages, Messages) and messages.all_kept:
            return messages
        ours = list(messages)
        self._fail_all((one for one in ours if not is_kept(one[0])), lambda: ConnectionLostError(lost))
        return messages_of((one for one in ours if is_kept(one[0])), messages.since)

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
        self._fail_all((one for messages in expired for one in messages), lambda: PublishExpiredError(max_age))
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

    def _drop(self, confirmation: Confirmation, command: bytes | Unmade) -> None:
        self.dropped += 1
        self._messages -= 1
        self._bytes -= len(command)
        reason = Failure(PublishDroppedError("its worker is half full, and its policy is 'drop'"))
        confirmation.fail(reason, self._complaints.add)

    def _refuse(self, confirmation: Confirmation, command: bytes | Unmade, reason: Exception) -> None:
        """Fail a message that was not taken."""
        self._fail(confirmation, command, reason)
        self._tell_news()

    def _fail(
        self,
        confirmation: Confirmation | None,
        command: bytes | Unmade,
        reason: Exception | Failure,
        *,
        told: bool = False,
    ) -> None:
        """
        Count it; its Deferred fails when all is in its place again, for its callbacks may look around here.

        :param told: whether the log has it already.
        """
        self.failed += 1
        self._messages -= 1
        if type(command) is bytes:  # what the pool makes is counted when it comes back from there
            self._bytes -= len(command)
        self._failures.append((confirmation, reason, _ignore if told else self._complaints.add))

    def _fail_all(self, messages: Iterable[OneMessage], make_reason: Callable[[], Exception]) -> None:
        """Fail them in one line of the log; each gets an exception of its own, for it may be raised somewhere."""
        subjects: set[str] = set()
        count = 0
        for confirmation, command in messages:
            count += 1
            if len(subjects) < 10:
                subjects.add(_subject_of(command))
            self._fail(confirmation, command, make_reason(), told=True)
        if count:
            self.log.error(
                "{count} messages were not confirmed, to {subjects}: {reason}",
                count=count,
                subjects=", ".join(sorted(subjects)),
                reason=make_reason(),
            )

    def _tell_news(self) -> None:
        """Behind each change: what failed, that there is room again, what was flushed, and that all is drained."""
        failures, self._failures = self._failures, []
        for confirmation, reason, unheard in failures:
            if confirmation is None:
                unheard(reason if isinstance(reason, Failure) else Failure(reason))
            else:
                confirmation.fail(reason, unheard)
        if self._pressed and self._messages * 4 <= self._limits.messages and self._bytes * 4 <= self._limits.bytes:
            self._pressed = False
            self._on_pressure(False)
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
        if self._messages and self._link.max_payload is None and not self._unconfirmed:
            # Nobody is there to confirm; abandon() comes back here with nothing left. (While a server is being left,
            # the link takes nothing more, and what it has taken is confirmed.)
            self.abandon()
        elif not self._messages:
            drained, self._drained = self._drained, None
            self._settling.stop()
            if self._next_expiry is not None:
                self._next_expiry.cancel()
                self._next_expiry = None
            drained.callback(None)


def _ignore(failure: Failure) -> None:
    """It is told already."""


def _subject_of(command: bytes | Unmade) -> str:
    return command.subject if isinstance(command, Unmade) else read_pub(command).subjects[0]
