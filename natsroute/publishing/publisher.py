"""
Publishing: a few workers, each with a connection of its own, over one pool of threads.

A subject always goes to the same worker, so its order is kept. What a worker does with a message is told in
:mod:`natsroute.publishing.worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import get_ident
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute import payloads
from natsroute.errors import NatsrouteError, PublisherStoppedError
from natsroute.publishing.confirmation import Confirmation
from natsroute.publishing.outgoing import Unmade
from natsroute.publishing.worker import InPool, Link, PublishLimits, PublishWorker
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import HeaderValues, encode_headers


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
        confirmation: Confirmation = Confirmation()
        if get_ident() != self._thread:
            self._from_thread(self._publish_for_thread, confirmation, subject, payload, reply, headers)
            return confirmation
        command: bytes | Unmade
        try:
            if self._stopping:
                raise PublisherStoppedError(f"the publisher is stopping: the message to {subject} was not sent")
            block = encode_headers(headers) if headers else b""
            if type(payload) is str:
                payload = payloads.to_bytes(payload)
            if type(payload) is bytes:
                command = encode_pub(subject, payload, reply, block)
                size = len(payload) + len(block)
            else:
                encode_pub(subject, b"", reply)  # a bad subject is told before the pool is asked
                command = Unmade(subject, partial(_make, subject, payload, reply, block))
                size = 0
        except NatsrouteError:
            self._refused += 1
            confirmation.errback(Failure())
            return confirmation
        self.workers[hash(subject) % len(self.workers)].add(confirmation, command, size)
        return confirmation

    def _publish_for_thread(self, confirmed: Deferred[None], *message: Any) -> None:
        self.publish(*message).chainDeferred(confirmed)

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


def _make(subject: str, payload: object, reply: str | None, block: bytes) -> bytes:
    data = payloads.to_bytes(payload() if callable(payload) else payload)
    return encode_pub(subject, data, reply, block)
