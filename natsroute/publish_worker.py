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
from operator import attrgetter
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
from natsroute.wire.frames import MOST_MAX_PAYLOAD


class Link(Interface):
    """What a publish worker sees of a connection."""

    @property
    def max_payload(self) -> int | None:
        """Bytes that the connected server allows; None while there is no connection."""

    def write_and_ping(self, data: bytes) -> Deferred[None]:
        """Write, and fire when the server has read it; fail if the connection ends before."""


#: Runs a function in the pool: ``deferToThreadPool`` with its reactor and pool.
InPool = Callable[[Callable[[], None]], "Deferred[None]"]


@attrs.frozen
class PublishLimits:
    """
    What one worker may hold until it is confirmed.

    :ivar messages: messages.
    :ivar bytes: bytes, as they go over the wire.
    """

    messages: int = 65_536
    bytes: int = 8 * 1024 * 1024


@attrs.define(eq=False, weakref_slot=False)
class Outgoing:
    """
    A message on its way out.

    :ivar confirmed: the caller's Deferred.
    :ivar frame: the whole command.
    :ivar size: bytes of headers and payload, which is what ``max_payload`` bounds.
    """

    confirmed: Deferred[None]
    subject: str
    frame: bytes
    size: int


class Unmade(Outgoing):
    """
    A message whose payload the pool must make first.

    :ivar make: makes frame and size; None when that is done.
    :ivar error: why they could not be made.
    """

    __slots__ = ("error", "make")

    def __init__(self, confirmed: Deferred[None], subject: str, make: Callable[[], tuple[bytes, int]]) -> None:
        super().__init__(confirmed, subject, b"", 0)
        self.make: Callable[[], tuple[bytes, int]] | None = make
        self.error: Failure | None = None


# Most routes publish and drop the Deferred. callback() on one that nobody listens to only sets its result, but costs
# half as much as publish(). Where Twisted keeps the callbacks has changed (25.5); if that is unknown, it is called.
_callbacks_of: Callable[[Deferred[None]], object] = next(
    (attrgetter(name) for name in ("_callbacks", "callbacks") if name in vars(Deferred())), lambda confirmed: True
)


@attrs.define(eq=False, weakref_slot=False)
class _Batch:
    """
    Messages written together.

    :ivar size: bytes, as they went over the wire.
    """

    messages: list[Outgoing]
    size: int


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
        self._waiting: list[Outgoing] = []
        self._unmade = 0  # of those that wait, how many the pool must make
        self._in_the_pool: list[Outgoing] = []
        self._unconfirmed: deque[_Batch] = deque()
        self._unsure: list[Outgoing] = []  # written before the link was cut, and to be written again before all else
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

    def add(self, outgoing: Outgoing) -> None:
        """Take a message; its Deferred says what became of it."""
        self._messages += 1
        self._bytes += len(outgoing.frame)
        if self._messages > self._half_of_messages or self._bytes > self._half_of_bytes:
            if self._messages > self._limits.messages or self._bytes > self._limits.bytes:
                self._fail(outgoing, self._full_without(outgoing))
                return
            if not self._pressed:
                self._pressed = True
                self._on_pressure(True)
        if outgoing.size > self._max_payload:
            self._fail(outgoing, PayloadTooLargeError(outgoing.size, self._max_payload))
            return
        self._waiting.append(outgoing)
        if type(outgoing) is Unmade:
            self._unmade += 1
        if self._next_flush is None:
            if self._is_sparse and not self._unconfirmed:
                self._flush()  # nobody else is coming, so nothing is gained by waiting for them
            else:
                self._next_flush = self._clock.callLater(0, self._flush)

    def _full_without(self, outgoing: Outgoing) -> PublishBufferFullError:
        return PublishBufferFullError(
            messages=self._messages - 1,
            max_messages=self._limits.messages,
            bytes=self._bytes - len(outgoing.frame),
            max_bytes=self._limits.bytes,
        )

    def connected(self) -> None:
        """The link can be written to."""
        self._max_payload = self._link.max_payload or MOST_MAX_PAYLOAD
        unsure, self._unsure = self._without_oversized(self._unsure), []
        self._waiting = self._without_oversized(self._waiting)
        if unsure:
            self._write(unsure)
        self._flush_soon()

    def disconnected(self) -> None:
        """The link is cut: what it did not confirm goes before all else when it is back."""
        unsure = self._all_unconfirmed()
        self.resent += len(unsure)
        self._unsure += unsure
        self._unconfirmed.clear()
        self._permission_errors.clear()
        self._end_if_drained()

    def refused(self, error: PermissionsError) -> None:
        """
        The server refused a subject. It answers in order, so that is one of the oldest unconfirmed batch, whose PONG
        comes next.
        """
        if error.operation in ("publish", "reply") and self._unconfirmed:
            self._permission_errors[error.subject] = error

    def drain(self) -> Deferred[None]:
        """Fires when nothing is on the way any longer; no message may be added after this."""
        drained: Deferred[None] = Deferred()
        self._drained = drained
        self._end_if_drained()
        return drained

    def abandon(self) -> None:
        """Fail all that was not confirmed."""
        left = [*self._unsure, *self._all_unconfirmed(), *self._in_the_pool, *self._waiting]
        self._unsure = []
        self._unconfirmed.clear()
        self._in_the_pool = []
        self._waiting = []
        if left:
            subjects = ", ".join(sorted({outgoing.subject for outgoing in left})[:10])
            self.log.error("{count} messages were not confirmed, to {subjects}", count=len(left), subjects=subjects)
        for outgoing in left:
            self._fail(outgoing, PublisherStoppedError("the publisher stopped before the server had the message"))
        self._end_if_drained()

    # -- the way out ------------------------------------------------------------------------------------------------

    def _flush_soon(self) -> None:
        if self._next_flush is None and self._waiting:
            self._next_flush = self._clock.callLater(0, self._flush)

    def _flush(self) -> None:
        self._next_flush = None
        if self._in_the_pool or self._link.max_payload is None or not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        if self._unmade:
            self._unmade = 0
            self._in_the_pool = batch
            unmade = [each for each in batch if type(each) is Unmade and each.make is not None]
            self._in_pool(lambda: _make_all(unmade)).addBoth(self._made, batch, unmade)
        else:
            self._write(batch)

    def _made(self, _: object, batch: list[Outgoing], unmade: list[Unmade]) -> None:
        if self._in_the_pool is not batch:
            return  # abandoned meanwhile
        self._in_the_pool = []
        self._bytes += sum(len(outgoing.frame) for outgoing in unmade)
        made = self._without_oversized(batch)
        if self._link.max_payload is None:
            self._waiting = made + self._waiting
        elif made:
            self._write(made)
        self._end_if_drained()
        self._flush_soon()

    def _write(self, messages: list[Outgoing]) -> None:
        data = b"".join([outgoing.frame for outgoing in messages])
        self._unconfirmed.append(_Batch(messages, len(data)))
        self._is_sparse = len(messages) == 1
        # After a loss disconnected() does all there is to do.
        self._link.write_and_ping(data).addCallbacks(self._confirm_oldest, lambda lost: None)

    def _confirm_oldest(self, _: None) -> None:
        batch = self._unconfirmed.popleft()
        self._messages -= len(batch.messages)
        self._bytes -= batch.size
        if self._permission_errors:
            self._confirm_but_for_refused(batch)
        else:
            self.confirmed += len(batch.messages)
            for outgoing in batch.messages:
                confirmed = outgoing.confirmed
                if confirmed.called or _callbacks_of(confirmed):
                    confirmed.callback(None)
                else:
                    confirmed.called = True
                    confirmed.result = None
        self._ease()
        self._end_if_drained()

    def _confirm_but_for_refused(self, batch: _Batch) -> None:
        errors, self._permission_errors = self._permission_errors, {}
        for outgoing in batch.messages:
            error = next((errors[name] for name in _subjects_of(outgoing.frame) if name in errors), None)
            if error is None:
                self.confirmed += 1
                outgoing.confirmed.callback(None)
            else:
                self.failed += 1
                outgoing.confirmed.errback(error)

    def _all_unconfirmed(self) -> list[Outgoing]:
        return list(chain.from_iterable(batch.messages for batch in self._unconfirmed))

    def _without_oversized(self, messages: list[Outgoing]) -> list[Outgoing]:
        """What may be sent; the rest fails: what could not be made, and what a server with a lower limit refuses."""
        sendable = []
        for outgoing in messages:
            if type(outgoing) is Unmade and outgoing.error is not None:
                self._fail(outgoing, outgoing.error)
            elif outgoing.size > self._max_payload:
                self._fail(outgoing, PayloadTooLargeError(outgoing.size, self._max_payload))
            else:
                sendable.append(outgoing)
        return sendable

    def _fail(self, outgoing: Outgoing, reason: Exception | Failure) -> None:
        self.failed += 1
        self._messages -= 1
        self._bytes -= len(outgoing.frame)
        outgoing.confirmed.errback(reason)
        self._ease()

    def _ease(self) -> None:
        if self._pressed and self._messages * 4 <= self._limits.messages and self._bytes * 4 <= self._limits.bytes:
            self._pressed = False
            self._on_pressure(False)

    def _end_if_drained(self) -> None:
        if self._drained is None:
            return
        if self._messages and self._link.max_payload is None:
            # Nobody is there to confirm; abandon() comes back here with nothing left.
            self.abandon()
        elif not self._messages:
            drained, self._drained = self._drained, None
            drained.callback(None)


def _subjects_of(frame: bytes) -> list[str]:
    """The subject of a PUB or HPUB, and its reply subject if it has one."""
    words = frame.partition(b"\r\n")[0].decode("utf-8", "surrogateescape").split(" ")
    return words[1:-2] if words[0] == "HPUB" else words[1:-1]


def _make_all(messages: Iterable[Unmade]) -> None:
    """Make their frames; in the pool."""
    for outgoing in messages:
        if outgoing.make is not None:
            try:
                outgoing.frame, outgoing.size = outgoing.make()
            except BaseException:
                outgoing.error = Failure()
            outgoing.make = None
