"""
Publishing: a few workers, each with a connection of its own, over one pool of threads.

A subject always goes to the same worker, so its order is kept. What a worker does with a message is told in
:mod:`natsroute.publishing.worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from secrets import token_hex
from threading import get_ident

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute import payloads
from natsroute.errors import NatsrouteError, PublisherStoppedError, SettingError
from natsroute.ledger import PublisherAccount
from natsroute.publishing.batches import Unserialised
from natsroute.publishing.complaints import UnhandledFailureLog
from natsroute.publishing.confirmation import Confirmation
from natsroute.publishing.options import PUBLISH_POLICIES, Link, PublishLimits, RunInPool
from natsroute.publishing.worker import PublishWorker
from natsroute.wire.encoder import encode_pub, pub_template
from natsroute.wire.headers import MESSAGE_ID, HeaderValues, encode_headers

_REMEMBERED_SUBJECTS = 8192


def unique_ids() -> Iterator[str]:
    """Ids that no other process gives, nor this one twice."""
    process = token_hex(8)
    return (f"{process}{number:x}" for number in count())


def with_id(headers: HeaderValues | None, msg_id: str) -> HeaderValues:
    """The headers of a message that is given this id."""
    return {**(headers or {}), MESSAGE_ID: msg_id}


def check_policy(policy: str) -> None:
    """
    Make sure that there is such a policy.

    :raises SettingError: there is none.
    """
    if policy not in PUBLISH_POLICIES:
        raise SettingError("policy", policy, "there is no such policy", f"One of {', '.join(PUBLISH_POLICIES)}")


class Publisher:
    """
    Publishes over several links.

    :param links: a connection for each worker.
    :param run_in_pool: runs a function in the thread pool.
    :param call_from_thread: the reactor's ``callFromThread``.
    :param on_high_water: called when a worker's buffer is more than half full, so that its feeders can pause.
    :param on_low_water: called when that buffer is down to a quarter.
    :param message_ids: gives the ``Nats-Msg-Id`` of each message that comes without one; None: it gets none.
    """

    def __init__(
        self,
        links: Sequence[Link],
        clock: IReactorTime,
        *,
        run_in_pool: RunInPool,
        call_from_thread: Callable[..., object],
        limits: PublishLimits = PublishLimits(),
        on_high_water: Callable[[], None] = lambda: None,
        on_low_water: Callable[[], None] = lambda: None,
        message_ids: Iterator[str] | None = None,
    ) -> None:
        self._complaints = UnhandledFailureLog(clock)
        self.workers = [
            PublishWorker(link, clock, run_in_pool, limits, on_high_water, on_low_water, self._complaints)
            for link in links
        ]
        # By subject, what _outlet() gives.
        self._outlets: dict[str, tuple[bytes, PublishWorker]] = {}
        self._policy = limits.policy
        self._message_ids = message_ids
        self._clock = clock
        self._call_from_thread = call_from_thread
        self._thread: int | None = None
        self._refused = 0
        self._stopping = False

    def account(self) -> PublisherAccount:
        """What became of its messages so far; those that other threads have just given are not among them yet."""
        workers, refused = self.workers, self._refused
        return PublisherAccount(
            published=refused + sum(worker.published for worker in workers),
            confirmed=sum(worker.confirmed for worker in workers),
            failed=refused + sum(worker.losses.failed for worker in workers),
            dropped=sum(worker.losses.dropped for worker in workers),
            resent=sum(worker.resent for worker in workers),
            in_progress=sum(worker.in_progress for worker in workers),
        )

    def start(self) -> None:
        """Take messages; to be called in the reactor's thread, which is taken note of."""
        self._thread = get_ident()
        self._stopping = False

    def publish(
        self,
        subject: str,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        *,
        policy: str | None = None,
        msg_id: str | None = None,
    ) -> Deferred[None]:
        """
        Publish a message. Messages to one subject arrive in the order in which they were given.

        It may be called from any thread; the Deferred fires in the reactor's. A thread that wants to wait uses
        ``blockingCallFromThread(reactor, event.publish, subject, payload)``.

        :param payload: bytes; a string, sent as UTF-8; a callable, run in the pool of threads, that returns the
            payload; anything else is sent as JSON.
        :param reply: the subject that answers should go to.
        :param headers: NATS headers, each with one value or several (NATS ADR-4).
        :param policy: ``"keep"``, ``"fail"`` or ``"drop"`` instead of the publisher's own; see
            :data:`natsroute.publishing.options.PublishPolicy`.
        :param msg_id: the header ``Nats-Msg-Id``, by which a stream knows a message that was sent again.

        :return: fires with None when the server has the message. Fails with
            :class:`~natsroute.errors.SubjectError`, :class:`~natsroute.errors.HeaderError` or
            :class:`~natsroute.errors.PayloadError` for what cannot be sent,
            :class:`~natsroute.errors.PayloadTooLargeError` above the server's ``max_payload``,
            :class:`~natsroute.errors.PermissionsError` if the server refuses it,
            :class:`~natsroute.errors.PublishBufferFullError` if too much waits already,
            :class:`~natsroute.errors.PublishExpiredError` if it was not confirmed in time,
            :class:`~natsroute.errors.ConnectionLostError` with the policy ``fail``,
            :class:`~natsroute.errors.PublishDroppedError` with the policy ``drop``, and
            :class:`~natsroute.errors.PublisherStoppedError` if the end came first; what a callable raises is passed
            on.
        """
        confirmation: Confirmation = Confirmation()
        if get_ident() != self._thread:
            confirmation.has_listeners = True  # that thread may add one at any moment
            self._call_from_thread(
                self._publish_for_thread, confirmation, subject, payload, reply, headers, policy, msg_id
            )
            return confirmation
        command: bytes | Unserialised
        try:
            template, worker = self._outlets.get(subject) or self._outlet(subject)
            if type(payload) is bytes and headers is None and msg_id is None is self._message_ids:
                size = len(payload)
                command = template % (size, payload) if reply is None else encode_pub(subject, payload, reply)
            else:
                command, size = self._command(subject, payload, reply, headers, msg_id)
            if policy is None:
                policy = self._policy
            else:
                check_policy(policy)
        except NatsrouteError:
            self._refused += 1
            confirmation.fail(Failure(), self._complaints.add)
            return confirmation
        worker.add(confirmation, command, size, policy)
        return confirmation

    def _outlet(self, subject: str) -> tuple[bytes, PublishWorker]:
        """How a command to this subject looks, and who publishes it."""
        if self._stopping:
            raise PublisherStoppedError(f"the publisher is stopping: the message to {subject} was not sent")
        outlet = pub_template(subject), self.workers[hash(subject) % len(self.workers)]
        if len(self._outlets) >= _REMEMBERED_SUBJECTS:
            self._outlets.clear()
        self._outlets[subject] = outlet
        return outlet

    def _command(
        self, subject: str, payload: object, reply: str | None, headers: HeaderValues | None, msg_id: str | None
    ) -> tuple[bytes | Unserialised, int]:
        """The command, or what makes it; and the bytes that ``max_payload`` bounds, 0 while that is not known."""
        if msg_id is not None:
            headers = with_id(headers, msg_id)
        elif self._message_ids is not None:
            headers = {MESSAGE_ID: next(self._message_ids), **(headers or {})}
        block = encode_headers(headers) if headers else b""
        if type(payload) is str:
            payload = payloads.to_bytes(payload)
        if type(payload) is bytes:
            return encode_pub(subject, payload, reply, block), len(payload) + len(block)
        encode_pub(subject, b"", reply)  # a bad reply subject is told before the pool is asked
        return Unserialised(subject, partial(_make, subject, payload, reply, block)), 0

    def _publish_for_thread(
        self,
        confirmed: Confirmation,
        subject: str,
        payload: object,
        reply: str | None,
        headers: HeaderValues | None,
        policy: str | None,
        msg_id: str | None,
    ) -> None:
        published = self.publish(subject, payload, reply, headers, policy=policy, msg_id=msg_id)
        published.addCallbacks(confirmed.callback, confirmed.fail, errbackArgs=(self._complaints.add,))

    #: The name that the function has in a Kamailio script.
    nats_publish = publish

    def flush(self) -> Deferred[None]:
        """
        Fires when each message published so far has been confirmed, or has failed: cheaper than to listen to each one's
        Deferred. To be called in the reactor's thread; :meth:`account` tells how many failed.
        """
        flushed = gatherResults([worker.flush() for worker in self.workers])
        return flushed.addCallback(lambda _: None)

    def stop(self, timeout: float) -> Deferred[None]:
        """
        Take no more messages, and wait for those that are on the way.

        :param timeout: seconds to wait; what is then unconfirmed fails with
            :class:`~natsroute.errors.PublisherStoppedError`. Without a connection there is nothing to wait for.
        """
        self._stopping = True
        self._outlets.clear()
        give_up = self._clock.callLater(timeout, self._abandon)

        def stopped(_: object) -> None:
            self._complaints.tell_rest()
            if give_up.active():
                give_up.cancel()

        return gatherResults([worker.drain() for worker in self.workers]).addCallback(stopped)

    def _abandon(self) -> None:
        for worker in self.workers:
            worker.abandon()


def _make(subject: str, payload: object, reply: str | None, block: bytes) -> bytes:
    data = payloads.to_bytes(payload() if callable(payload) else payload)
    return encode_pub(subject, data, reply, block)
