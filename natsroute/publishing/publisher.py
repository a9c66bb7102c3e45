"""
Publishing: a few workers, each with a connection of its own, and one thread pool.

Messages to one subject go to the same worker, which keeps their order. See :mod:`natsroute.publishing.worker`.
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
from natsroute.publishing.batches import Command, Unserialised
from natsroute.publishing.confirmation import Confirmation, UnhandledFailureLog
from natsroute.publishing.options import PUBLISH_POLICIES, Link, PublishLimits, RunInPool
from natsroute.publishing.worker import PublishWorker
from natsroute.wire.encoder import encode_pub, pub_template
from natsroute.wire.headers import MESSAGE_ID, HeaderValues, encode_headers

#: Subjects for which a publisher remembers the template and the worker.
_MAX_TARGETS = 8192


def unique_ids() -> Iterator[str]:
    """Message IDs that are unique among all processes."""
    process = token_hex(8)
    return (f"{process}{number:x}" for number in count())


def with_id(headers: HeaderValues | None, msg_id: str) -> HeaderValues:
    """A copy of the headers, with this message ID."""
    return {**(headers or {}), MESSAGE_ID: msg_id}


def check_policy(policy: str) -> None:
    """
    Refuse an unknown policy.

    :raises SettingError: the policy is unknown.
    """
    if policy not in PUBLISH_POLICIES:
        raise SettingError("policy", policy, "there is no such policy", f"Use one of {', '.join(PUBLISH_POLICIES)}")


class Publisher:
    """
    Publishes over several links.

    :ivar workers: one for each link, in the order of the links.
    :param links: a connection for each worker.
    :param run_in_pool: runs a function in the thread pool.
    :param call_from_thread: the reactor's ``callFromThread``.
    :param on_high_water: called in the reactor thread when the buffer of a worker is more than half full, so that
        producers can pause.
    :param on_low_water: called in the reactor thread after that, when the buffer of that worker is down to a quarter.
    :param message_ids: gives the ``Nats-Msg-Id`` of messages that are published without one; None: they get none.
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
        self._unhandled = UnhandledFailureLog(clock)
        self.workers = [
            PublishWorker(link, clock, run_in_pool, limits, on_high_water, on_low_water, self._unhandled)
            for link in links
        ]
        self._targets: dict[str, tuple[bytes, PublishWorker]] = {}  # by subject, see _target()
        self._policy = limits.policy
        self._message_ids = message_ids
        self._clock = clock
        self._call_from_thread = call_from_thread
        self._reactor_thread: int | None = None
        self._rejected = 0
        self._stopping = False

    def account(self) -> PublisherAccount:
        """What became of the messages so far, without those that other threads have just published."""
        rejected = PublisherAccount(
            published=self._rejected, confirmed=0, failed=self._rejected, dropped=0, resent=0, in_progress=0
        )
        return PublisherAccount.total([rejected, *(worker.account() for worker in self.workers)])

    def start(self) -> None:
        """Accept messages. Call this in the reactor thread."""
        self._reactor_thread = get_ident()
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
        Publish a message. Messages to one subject are sent in the order of the calls.

        Call this from any thread; the Deferred always fires in the reactor thread. To wait in another thread, use
        ``blockingCallFromThread(reactor, event.publish, subject, payload)``.

        :param payload: bytes are sent as they are, a string as UTF-8, anything else as JSON. A callable is called in
            the thread pool, and returns the payload. Bytes, strings and headers are encoded at once; do not change any
            other payload before the Deferred has fired.
        :param reply: the subject for answers.
        :param headers: NATS headers, each with one value or several (NATS ADR-4).
        :param policy: ``"keep"``, ``"fail"`` or ``"drop"``, instead of the default of the publisher. See
            :data:`natsroute.publishing.options.PublishPolicy`.
        :param msg_id: the header ``Nats-Msg-Id``, by which a stream detects a message that was sent twice.

        :return: fires with None when the server has the message. Cancelling it does not stop the message. It fails with

            - :class:`~natsroute.errors.SubjectError`, :class:`~natsroute.errors.HeaderError` or
              :class:`~natsroute.errors.PayloadError` if the message cannot be encoded,
            - :class:`~natsroute.errors.SettingError` if there is no such policy,
            - :class:`~natsroute.errors.PayloadTooLargeError` if it is above the server's ``max_payload``,
            - :class:`~natsroute.errors.PermissionsError` if the server refuses the subject or the reply subject,
            - :class:`~natsroute.errors.PublishBufferFullError` if the worker holds too many messages or bytes,
            - :class:`~natsroute.errors.PublishExpiredError` if it was not confirmed in time,
            - :class:`~natsroute.errors.ConnectionLostError` with the policy ``fail``,
            - :class:`~natsroute.errors.PublishDroppedError` with the policy ``drop``,
            - :class:`~natsroute.errors.PublisherStoppedError` if the publisher stopped first,
            - whatever a callable payload raises.
        """
        confirmation: Confirmation = Confirmation()
        if get_ident() != self._reactor_thread:
            confirmation.has_callbacks = True  # the other thread may add one at any moment
            self._call_from_thread(
                self._publish_for_thread, confirmation, subject, payload, reply, headers, policy, msg_id
            )
            return confirmation
        command: Command
        try:
            template, worker = self._targets.get(subject) or self._target(subject)
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
            self._rejected += 1
            confirmation.fail(Failure(), self._unhandled.add)
            return confirmation
        worker.add(confirmation, command, size, policy)
        return confirmation

    def _target(self, subject: str) -> tuple[bytes, PublishWorker]:
        """The template of commands to this subject, and the worker that publishes them."""
        if self._stopping:
            raise PublisherStoppedError(f"the message to {subject} was not sent: the publisher stops, or has stopped")
        target = pub_template(subject), self.workers[hash(subject) % len(self.workers)]
        if len(self._targets) >= _MAX_TARGETS:
            self._targets.clear()
        self._targets[subject] = target
        return target

    def _command(
        self, subject: str, payload: object, reply: str | None, headers: HeaderValues | None, msg_id: str | None
    ) -> tuple[Command, int]:
        """The command, and the bytes that ``max_payload`` limits; 0 if it is unserialised."""
        if msg_id is not None:
            headers = with_id(headers, msg_id)
        elif self._message_ids is not None:
            headers = {MESSAGE_ID: next(self._message_ids), **(headers or {})}
        block = encode_headers(headers) if headers else b""
        if type(payload) is str:
            payload = payloads.to_bytes(payload)
        if type(payload) is bytes:
            return encode_pub(subject, payload, reply, block), len(payload) + len(block)
        encode_pub(subject, b"", reply)  # an invalid reply subject fails at once, not in the pool
        return Unserialised(subject, partial(_serialise, subject, payload, reply, block)), 0

    def _publish_for_thread(
        self,
        confirmation: Confirmation,
        subject: str,
        payload: object,
        reply: str | None,
        headers: HeaderValues | None,
        policy: str | None,
        msg_id: str | None,
    ) -> None:
        published = self.publish(subject, payload, reply, headers, policy=policy, msg_id=msg_id)
        published.addCallbacks(confirmation.callback, confirmation.fail, errbackArgs=(self._unhandled.add,))

    #: The name that the function has in a Kamailio script.
    nats_publish = publish

    def flush(self) -> Deferred[None]:
        """
        Wait for all messages published so far. This is cheaper than waiting for the Deferred of each.

        Call this in the reactor thread.

        :return: fires with None when each of them is confirmed or has failed; :meth:`account` says how many failed.
        """
        flushed = gatherResults([worker.flush() for worker in self.workers])
        return flushed.addCallback(lambda _: None)

    def stop(self, timeout: float) -> Deferred[None]:
        """
        Accept no more messages, and wait until those published so far are confirmed or have failed.

        Without a connection they fail at once.

        :param timeout: seconds; the messages that are unconfirmed after it fail with
            :class:`~natsroute.errors.PublisherStoppedError`.
        :return: fires with None in the end.
        """
        self._stopping = True
        self._targets.clear()
        give_up = self._clock.callLater(timeout, self._abandon)

        def stopped(_: object) -> None:
            self._unhandled.log_rest()
            if give_up.active():
                give_up.cancel()

        return gatherResults([worker.drain() for worker in self.workers]).addCallback(stopped)

    def _abandon(self) -> None:
        for worker in self.workers:
            worker.abandon()


def _serialise(subject: str, payload: object, reply: str | None, block: bytes) -> bytes:
    data = payloads.to_bytes(payload() if callable(payload) else payload)
    return encode_pub(subject, data, reply, block)
