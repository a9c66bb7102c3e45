"""
Publishing: a few workers, each with a connection of its own, over one pool of threads.

A subject always goes to the same worker, so its order is kept. A worker takes all that waits in one go and puts a PING
behind it; the PONG says that the server has all before it, and their Deferreds fire. What was not confirmed when the
connection ended is sent again, first and in order.

Payloads that can block or are heavy (callables, and objects that become JSON) are made into bytes in the pool, a batch
at a time; a batch of ready bytes does not go through a thread, since the hop costs more than the work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from threading import get_ident
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute import payloads
from natsroute.errors import (
    NatsrouteError,
    PayloadTooLargeError,
    PermissionsError,
    PublishBufferFullError,
    PublisherStoppedError,
)
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import HeaderValues, encode_headers


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
class _Outgoing:
    """
    A message on its way out.

    :ivar confirmed: the caller's Deferred.
    :ivar frame: the whole command; empty until it is made.
    :ivar size: bytes of headers and payload, which is what ``max_payload`` bounds.
    :ivar make: makes frame and size, in the pool; None when that is done.
    :ivar error: why it could not be made.
    """

    confirmed: Deferred[None]
    subject: str
    frame: bytes = b""
    size: int = 0
    make: Callable[[], tuple[bytes, int]] | None = None
    error: Failure | None = None


class Publisher:
    """
    Publishes over several links.

    :param links: a connection for each worker.
    :param in_pool: runs a function in the pool of threads.
    :param from_thread: the reactor's ``callFromThread``.
    :param on_pressure: called with True when a worker holds half of what it may, with False when it is down to a
        quarter, so that whoever feeds it can pause.

    :ivar published: messages taken.
    :ivar confirmed: messages that the server has.
    :ivar resent: messages sent again after a reconnect.
    :ivar failed: messages whose Deferred failed.
    """

    def __init__(
        self,
        links: Sequence[Link],
        clock: IReactorTime,
        *,
        in_pool: InPool,
        from_thread: Callable[..., object],
        limits: PublishLimits = PublishLimits(),
        on_pressure: Callable[[bool], None] = lambda pressed: None,
    ) -> None:
        self.workers = [PublishWorker(link, clock, in_pool, limits, on_pressure) for link in links]
        self._clock = clock
        self._from_thread = from_thread
        self._thread: int | None = None
        self._refused = 0
        self._stopping = False

    @property
    def confirmed(self) -> int:
        return sum(worker.confirmed for worker in self.workers)

    @property
    def resent(self) -> int:
        return sum(worker.resent for worker in self.workers)

    @property
    def failed(self) -> int:
        return self._refused + sum(worker.failed for worker in self.workers)

    @property
    def published(self) -> int:
        return self._refused + sum(worker.published for worker in self.workers)

    def start(self) -> None:
        """Take messages; to be called in the reactor's thread, which is taken note of."""
        self._thread = get_ident()
        self._stopping = False

    def publish(
        self, subject: str, payload: object, reply: str | None = None, headers: HeaderValues | None = None
    ) -> Deferred[None]:
        """
        Publish a message. Messages to one subject arrive in the order in which they were given.

        It may be called from any thread; the Deferred fires in the reactor's. A thread that wants to wait uses
        ``blockingCallFromThread(reactor, event.publish, subject, payload)``.

        :param payload: bytes; a string, sent as UTF-8; a callable, run in the pool of threads, that returns the
            payload; anything else is sent as JSON.
        :param reply: the subject that answers should go to.
        :param headers: NATS headers, each with one value or several (NATS ADR-4).

        :return: fires with None when the server has the message. Fails with
            :class:`~natsroute.errors.SubjectError`, :class:`~natsroute.errors.HeaderError` or
            :class:`~natsroute.errors.PayloadError` for what cannot be sent,
            :class:`~natsroute.errors.PayloadTooLargeError` above the server's ``max_payload``,
            :class:`~natsroute.errors.PermissionsError` if the server refuses it,
            :class:`~natsroute.errors.PublishBufferFullError` if too much waits already, and
            :class:`~natsroute.errors.PublisherStoppedError` if the end came first; what a callable raises is passed
            on.
        """
        confirmed: Deferred[None] = Deferred()
        if get_ident() != self._thread:
            self._from_thread(self._publish, confirmed, subject, payload, reply, headers)
        else:
            self._publish(confirmed, subject, payload, reply, headers)
        return confirmed

    #: The name that the function has in a Kamailio script.
    nats_publish = publish

    def stop(self, timeout: float) -> Deferred[None]:
        """
        Take no more messages, and wait for those that are on the way.

        :param timeout: seconds to wait; what is then unconfirmed fails with
            :class:`~natsroute.errors.PublisherStoppedError`. Without a connection there is nothing to wait for.
        """
        self._stopping = True
        give_up = self._clock.callLater(timeout, self._abandon)

        def stopped(_: object) -> None:
            if give_up.active():
                give_up.cancel()

        return gatherResults([worker.drain() for worker in self.workers]).addCallback(stopped)

    def _abandon(self) -> None:
        for worker in self.workers:
            worker.abandon()

    def _publish(
        self,
        confirmed: Deferred[None],
        subject: str,
        payload: object,
        reply: str | None,
        headers: HeaderValues | None,
    ) -> None:
        try:
            if self._stopping:
                raise PublisherStoppedError(f"the publisher is stopping: the message to {subject} was not sent")
            block = encode_headers(headers) if headers else b""
            if isinstance(payload, (bytes, str)):
                data = payloads.to_bytes(payload)
                frame = encode_pub(subject, data, reply, block)
                outgoing = _Outgoing(confirmed, subject, frame, len(data) + len(block))
            else:
                encode_pub(subject, b"", reply)  # a bad subject is told before the pool is asked
                outgoing = _Outgoing(confirmed, subject, make=lambda: _make(subject, payload, reply, block))
        except NatsrouteError:
            self._refused += 1
            confirmed.errback(Failure())
            return
        self.workers[hash(subject) % len(self.workers)].add(outgoing)


def _make(subject: str, payload: object, reply: str | None, block: bytes) -> tuple[bytes, int]:
    data = payloads.to_bytes(payload() if callable(payload) else payload)
    return encode_pub(subject, data, reply, block), len(data) + len(block)


def _make_all(batch: Iterable[_Outgoing]) -> None:
    """Make what is not made yet; in the pool."""
    for outgoing in batch:
        if outgoing.make is not None:
            try:
                outgoing.frame, outgoing.size = outgoing.make()
            except BaseException:
                outgoing.error = Failure()
            outgoing.make = None


class PublishWorker:
    """
    Publishes over one link. Its owner tells it when the link is :meth:`connected` and :meth:`disconnected`.

    :ivar published: messages taken, those refused for want of room included.
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
        self.published = self.confirmed = self.resent = self.failed = 0
        self._link = link
        self._clock = clock
        self._in_pool = in_pool
        self._limits = limits
        self._on_pressure = on_pressure
        self._pressed = False
        self._waiting: deque[_Outgoing] = deque()
        self._unmade = 0  # of those that wait, how many the pool must make
        self._in_the_pool: deque[_Outgoing] = deque()
        self._unconfirmed: deque[deque[_Outgoing]] = deque()
        self._messages = 0
        self._bytes = 0
        self._max_payload: int | None = None
        self._permission_errors: dict[str, PermissionsError] = {}
        self._next_flush: IDelayedCall | None = None
        self._drained: Deferred[None] | None = None

    def add(self, outgoing: _Outgoing) -> None:
        """Take a message; its Deferred says what became of it."""
        self.published += 1
        self._messages += 1
        self._bytes += len(outgoing.frame)
        limits = self._limits
        if self._messages > limits.messages or self._bytes > limits.bytes:
            self._fail(
                outgoing,
                PublishBufferFullError(
                    messages=self._messages - 1,
                    max_messages=limits.messages,
                    bytes=self._bytes - len(outgoing.frame),
                    max_bytes=limits.bytes,
                ),
            )
            return
        if self._max_payload is not None and outgoing.size > self._max_payload:
            self._fail(outgoing, PayloadTooLargeError(outgoing.size, self._max_payload))
            return
        self._waiting.append(outgoing)
        if outgoing.make is not None:
            self._unmade += 1
        if self._next_flush is None:
            self._next_flush = self._clock.callLater(0, self._flush)
        if not self._pressed and (self._messages * 2 > limits.messages or self._bytes * 2 > limits.bytes):
            self._pressed = True
            self._on_pressure(True)

    def connected(self) -> None:
        """The link can be written to."""
        self._max_payload = self._link.max_payload
        self._waiting = self._without_oversized(self._waiting)
        self._flush_soon()

    def disconnected(self) -> None:
        """The link is cut: what it did not confirm goes before all else when it is back."""
        unsure = deque(chain.from_iterable(self._unconfirmed))
        self.resent += len(unsure)
        self._unconfirmed.clear()
        self._permission_errors.clear()
        unsure.extend(self._waiting)
        self._waiting = unsure
        self._end_if_drained()

    def refused(self, error: PermissionsError) -> None:
        """
        The server refused a subject. It answers in order, so that is one of the oldest unconfirmed batch, whose PONG
        comes next.
        """
        if error.operation == "publish" and self._unconfirmed:
            self._permission_errors[error.subject] = error

    def drain(self) -> Deferred[None]:
        """Fires when nothing is on the way any longer; no message may be added after this."""
        drained: Deferred[None] = Deferred()
        self._drained = drained
        self._end_if_drained()
        return drained

    def abandon(self) -> None:
        """Fail all that was not confirmed."""
        left = [*chain.from_iterable(self._unconfirmed), *self._in_the_pool, *self._waiting]
        self._unconfirmed.clear()
        self._in_the_pool = deque()
        self._waiting.clear()
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
        batch, self._waiting = self._waiting, deque()
        if self._unmade:
            self._unmade = 0
            self._in_the_pool = batch
            self._in_pool(lambda: _make_all(batch)).addBoth(self._made, batch)
        else:
            self._write(batch)

    def _made(self, _: object, batch: deque[_Outgoing]) -> None:
        if self._in_the_pool is not batch:
            return  # abandoned meanwhile
        self._in_the_pool = deque()
        self._bytes += sum(len(outgoing.frame) for outgoing in batch)
        made = self._without_oversized(batch)
        if self._link.max_payload is None:
            made.extend(self._waiting)
            self._waiting = made
        elif made:
            self._write(made)
        self._end_if_drained()
        self._flush_soon()

    def _write(self, batch: deque[_Outgoing]) -> None:
        self._unconfirmed.append(batch)
        written = self._link.write_and_ping(b"".join([outgoing.frame for outgoing in batch]))
        # After a loss disconnected() does all there is to do.
        written.addCallbacks(self._confirm_oldest, lambda lost: None)

    def _confirm_oldest(self, _: None) -> None:
        batch = self._unconfirmed.popleft()
        errors, self._permission_errors = self._permission_errors, {}
        self._messages -= len(batch)
        for outgoing in batch:
            self._bytes -= len(outgoing.frame)
            if errors and outgoing.subject in errors:
                self.failed += 1
                outgoing.confirmed.errback(errors[outgoing.subject])
            else:
                self.confirmed += 1
                outgoing.confirmed.callback(None)
        self._ease()
        self._end_if_drained()

    def _without_oversized(self, batch: deque[_Outgoing]) -> deque[_Outgoing]:
        """What may be sent; the rest fails: what could not be made, and what a server with a lower limit refuses."""
        sendable: deque[_Outgoing] = deque()
        for outgoing in batch:
            if outgoing.error is not None:
                self._fail(outgoing, outgoing.error)
            elif self._max_payload is not None and outgoing.size > self._max_payload:
                self._fail(outgoing, PayloadTooLargeError(outgoing.size, self._max_payload))
            else:
                sendable.append(outgoing)
        return sendable

    def _fail(self, outgoing: _Outgoing, reason: Exception | Failure) -> None:
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
