"""
One publish worker: messages in, confirmed messages out, over a link that comes and goes.

It takes all that waits in one go and puts a PING behind it; the PONG says that the server has all before it, and their
Deferreds fire. What was not confirmed when the connection ended is sent again, first and in order.

Payloads that can block or are heavy (callables, and objects that become JSON) are made into bytes in the pool, a batch
at a time; a batch of ready bytes does not go through a thread, since there is nothing left to make.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute.errors import (
    PayloadTooLargeError,
    PermissionsError,
    PublishBufferFullError,
    PublisherStoppedError,
)
from natsroute.publishing.confirmation import Confirmation, confirm_all
from natsroute.publishing.outgoing import Batch, Messages, Settling, Unmade
from natsroute.wire.encoder import read_pub, split_pubs
from natsroute.wire.frames import MOST_MAX_PAYLOAD


class Link(Interface):
    """What a publish worker sees of a connection."""

    @property
    def max_payload(self) -> int | None:
        """Bytes that the connected server allows; None while there is no connection."""

    def write_and_ping(self, data: bytes, messages: int) -> Deferred[None]:
        """Write so many messages, and fire when the server has read them; fail if the connection ends before."""


#: Runs a function in the pool: ``deferToThreadPool`` with its reactor and pool.
InPool = Callable[[Callable[[], None]], "Deferred[None]"]


@attrs.frozen
class PublishLimits:
    """
    What one worker may hold until it is confirmed.

    :ivar messages: messages.
    :ivar bytes: bytes, as they go over the wire.
    :ivar resend_window: seconds. A message that was confirmed no longer ago than this when the connection is lost is
        sent again: a server that is killed may have confirmed what it had not yet passed on.
    """

    messages: int = 65_536
    bytes: int = 8 * 1024 * 1024
    resend_window: float = 0.25


class PublishWorker:
    """
    Publishes over one link. Its owner tells it when the link is :meth:`connected` and :meth:`disconnected`.

    :ivar confirmed: messages that the server has.
    :ivar resent: messages sent again after a reconnect.
    :ivar failed: messages whose Deferred failed, those refused for want of room included.
    """

    log = Logger()

    def __init__(
        self,
        link: Link,
        clock: IReactorTime,
        in_pool: InPool,
        limits: PublishLimits,
        on_pressure: Callable[[bool], None],
    ) -> None:
        self.confirmed = self.resent = self.failed = 0
        self._link = link
        self._clock = clock
        self._in_pool = in_pool
        self._limits = limits
        self._half_of_messages = limits.messages // 2
        self._half_of_bytes = limits.bytes // 2
        self._on_pressure = on_pressure
        self._pressed = False
        self._waiting = Messages()
        self._in_the_pool = Messages()
        self._unconfirmed: deque[Batch] = deque()
        self._unsure: list[Batch] = []  # written before the link was cut, and to be written again before all else
        self._settling: deque[Settling] = deque()
        self._settling_bytes = 0
        self._messages = 0
        self._bytes = 0
        self._max_payload = MOST_MAX_PAYLOAD  # until a server says otherwise
        self._permission_errors: dict[str, PermissionsError] = {}
        self._next_flush: IDelayedCall | None = None
        self._is_sparse = False  # the last batch was of one message
        self._drained: Deferred[None] | None = None

    @property
    def published(self) -> int:
        """Messages taken, whatever became of them."""
        return self.confirmed + self.failed + self._messages

    def add(self, confirmation: Confirmation, command: bytes | Unmade, size: int) -> None:
        """
        Take a message.

        :param confirmation: says what became of it.
        :param command: the whole command, or what makes it.
        :param size: bytes of headers and payload, which is what ``max_payload`` bounds; 0 while that is not known.
        """
        self._messages = messages = self._messages + 1
        self._bytes = size_of_all = self._bytes + len(command)
        if messages > self._half_of_messages or size_of_all > self._half_of_bytes:
            if messages > self._limits.messages or self._bytes > self._limits.bytes:
                self._fail(confirmation, command, self._full_without(command))
                return
            if not self._pressed:
                self._pressed = True
                self._on_pressure(True)
        if size > self._max_payload:
            self._fail(confirmation, command, PayloadTooLargeError(size, self._max_payload))
            return
        waiting = self._waiting
        waiting.confirmations.append(confirmation)
        waiting.commands.append(command)
        if type(command) is Unmade:
            waiting.unmade.append(command)
        if self._next_flush is None:
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
            waiting, self._waiting = self._waiting, Messages()
            self._waiting = self._sendable(waiting.confirmations, waiting.commands).before(self._waiting)
        for batch in unsure:
            self._write(batch)
        self._flush_soon()

    def disconnected(self, *, in_order: bool = False) -> None:
        """
        The link is cut: what it did not confirm goes before all else when it is back.

        :param in_order: the server was left, not lost: what it confirmed it has passed on.
        """
        self._forget_settled()
        settling = [] if in_order else list(self._settling)
        self.resent += sum(one.count for one in settling)
        self.resent += sum(len(batch.confirmations) for batch in self._unconfirmed)
        self._unsure += [*(Batch([], one.data) for one in settling), *self._unconfirmed]
        self._settling.clear()
        self._settling_bytes = 0
        self._unconfirmed.clear()
        self._permission_errors.clear()
        self._end_if_drained()

    def refused(self, error: PermissionsError) -> None:
        """
        The server refused a subject. It answers in order, so that is one of the oldest unconfirmed batch, whose PONG
        comes next.
        """
        if error.operation not in ("publish", "reply") or not self._unconfirmed:
            return
        if len(self._permission_errors) < len(self._unconfirmed[0].confirmations):  # the batch cannot have more
            self._permission_errors[error.subject] = error

    def drain(self) -> Deferred[None]:
        """Fires when nothing is on the way any longer; no message may be added after this."""
        drained: Deferred[None] = Deferred()
        self._drained = drained
        self._end_if_drained()
        return drained

    def abandon(self) -> None:
        """Fail all that was not confirmed."""
        written = [*self._unsure, *self._unconfirmed]
        left: list[tuple[Confirmation, bytes | Unmade]] = [
            *chain.from_iterable(zip(batch.confirmations, split_pubs(batch.data)) for batch in written),
            *zip(self._in_the_pool.confirmations, self._in_the_pool.commands),
            *zip(self._waiting.confirmations, self._waiting.commands),
        ]
        self._unsure = []
        self._unconfirmed.clear()
        self._in_the_pool = Messages()
        self._waiting = Messages()
        if left:
            subjects = ", ".join(sorted({_subject_of(command) for _, command in left})[:10])
            self.log.error("{count} messages were not confirmed, to {subjects}", count=len(left), subjects=subjects)
        for confirmation, command in left:
            reason = PublisherStoppedError("the publisher stopped before the server had the message")
            self._fail(confirmation, command, reason)
        self._end_if_drained()

    # -- the way out ------------------------------------------------------------------------------------------------

    def _flush_soon(self) -> None:
        if self._next_flush is None and self._waiting.commands:
            self._next_flush = self._clock.callLater(0, self._flush)

    def _flush(self) -> None:
        self._next_flush = None
        if self._in_the_pool.commands or self._link.max_payload is None or not self._waiting.commands:
            return
        messages, self._waiting = self._waiting, Messages()
        if messages.unmade:
            self._in_the_pool = messages
            self._in_pool(messages.make).addBoth(self._made, messages)
        else:
            self._write(messages.as_batch())

    def _made(self, _: object, messages: Messages) -> None:
        if self._in_the_pool is not messages:
            return  # abandoned meanwhile
        self._in_the_pool = Messages()
        self._bytes += sum(len(unmade) for unmade in messages.unmade)
        sendable = self._sendable(messages.confirmations, messages.commands)
        if self._link.max_payload is None:
            self._waiting = sendable.before(self._waiting)
        else:
            self._write(sendable.as_batch())
        self._end_if_drained()
        self._flush_soon()

    def _settle(self, batch: Batch) -> None:
        """Keep a confirmed batch for a moment."""
        self._settling.append(Settling(self._clock.seconds(), len(batch.confirmations), batch.data))
        self._settling_bytes += len(batch.data)
        self._forget_settled()

    def _forget_settled(self) -> None:
        oldest = self._clock.seconds() - self._limits.resend_window
        # A bound that a quarter of a second does not reach in most traffic; at top rates a server is quicker, too.
        most = self._limits.bytes // 4
        while self._settling and (self._settling[0].confirmed_at <= oldest or self._settling_bytes > most):
            self._settling_bytes -= len(self._settling.popleft().data)

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
            batch = self._fail_refused(batch)
        if batch.confirmations:
            self._settle(batch)
            self.confirmed += len(batch.confirmations)
            self._messages -= len(batch.confirmations)
            self._bytes -= len(batch.data)
            confirm_all(batch.confirmations)
        self._ease()
        self._end_if_drained()

    def _fail_refused(self, batch: Batch) -> Batch:
        """What the server did not refuse."""
        errors, self._permission_errors = self._permission_errors, {}
        taken = Messages()
        for confirmation, command in zip(batch.confirmations, split_pubs(batch.data)):
            error = next((errors[name] for name in read_pub(command).subjects if name in errors), None)
            if error is None:
                taken.add(confirmation, command)
            else:
                self._fail(confirmation, command, error)
        return taken.as_batch()

    def _sendable(self, confirmations: Iterable[Confirmation], commands: Iterable[bytes | Unmade]) -> Messages:
        """What may be sent; the rest fails: what could not be made, and what a server with a lower limit refuses."""
        sendable = Messages()
        for confirmation, command in zip(confirmations, commands):
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
        commands = split_pubs(batch.data)
        if batch.confirmations:
            return self._sendable(batch.confirmations, commands).as_batch()
        # It was confirmed already: there is nobody to tell of what is left out.
        return Batch([], b"".join(each for each in commands if read_pub(each).size <= self._max_payload))

    def _fail(self, confirmation: Confirmation, command: bytes | Unmade, reason: Exception | Failure) -> None:
        self.failed += 1
        self._messages -= 1
        if type(command) is bytes:  # what the pool makes is counted when it comes back from there
            self._bytes -= len(command)
        confirmation.errback(reason)
        self._ease()

    def _ease(self) -> None:
        if self._pressed and self._messages * 4 <= self._limits.messages and self._bytes * 4 <= self._limits.bytes:
            self._pressed = False
            self._on_pressure(False)

    def _end_if_drained(self) -> None:
        if self._drained is None:
            return
        if self._messages and self._link.max_payload is None and not self._unconfirmed:
            # Nobody is there to confirm; abandon() comes back here with nothing left. (While a server is being left,
            # the link takes nothing more, and what it has taken is confirmed.)
            self.abandon()
        elif not self._messages:
            drained, self._drained = self._drained, None
            drained.callback(None)


def _subject_of(command: bytes | Unmade) -> str:
    return command.subject if isinstance(command, Unmade) else read_pub(command).subjects[0]
