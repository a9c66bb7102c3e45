"""``publish()``: from its arguments to a command, which a worker takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from secrets import token_hex
from threading import get_ident
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute import payloads
from natsroute.confirmation import Confirmation, UnhandledFailureLog
from natsroute.errors import HeaderError, NatsrouteError, PublisherStoppedError, SubjectError
from natsroute.hot import Sender, Target
from natsroute.publishing.batches import Command, Unserialised
from natsroute.publishing.options import Streams, check_policy
from natsroute.publishing.stream_outlet import StreamOutlet
from natsroute.publishing.thread_queue import ThreadQueue
from natsroute.publishing.worker import PublishWorker
from natsroute.wire.encoder import encode_pub, encode_reply, encode_subject
from natsroute.wire.headers import MESSAGE_ID, NO_HEADERS, HeaderValues, all_values, encode_headers, with_message_id
from natsroute.wire.publish_options import stream_options

if TYPE_CHECKING:
    from natsroute.wire.publish_options import PublishOptions

#: The options that all messages have.
_FOR_ALL_MESSAGES = frozenset(("policy", "msg_id"))
#: Subjects for which an outlet remembers what publishes to them.
_MAX_TARGETS = 8192
#: Stands for the subject of a rejected message in the log.
_NO_SUBJECT = "(no subject)"


def _encode(subject: str, payload: bytes, reply: str | None, headers: HeaderValues | None) -> tuple[bytes, int]:
    """The command, and the bytes that ``max_payload`` limits."""
    block = encode_headers(headers) if headers else b""
    return encode_pub(subject, payload, reply, block), len(payload) + len(block)


def unique_ids() -> Iterator[str]:
    """Message IDs that are unique among all processes. Several threads may use one iterator."""
    return map(f"{token_hex(8)}{{:x}}".format, count())


class Outlet(Sender):
    """
    Publishes for one event route, or for the program.

    Plain messages take the short way of :class:`~natsroute.hot.pure.Sender`: those in the reactor's thread, without
    options, to a subject that was published to before, while their worker has space.

    :param route: the name of the event route, for the log; empty for the program.
    :param workers: all workers of the publisher.
    :param new_confirmation: makes the Deferred of a message.
    :param message_ids: gives the ``Nats-Msg-Id`` of messages that are published without one; None: they get none.
    :param streams: publishes to streams; None: nothing does.

    :ivar rejected: messages that failed before a worker had them.
    """

    def __init__(
        self,
        route: str,
        workers: Sequence[PublishWorker],
        new_confirmation: Callable[[], Confirmation],
        thread_queue: ThreadQueue,
        unhandled: UnhandledFailureLog,
        policy: str,
        message_ids: Iterator[str] | None,
        streams: Streams | None = None,
    ) -> None:
        super().__init__(new_confirmation, _encode, encode_reply)
        self.rejected = 0
        self._route = route
        self._workers = workers
        self._thread_queue = thread_queue
        self._unhandled = unhandled
        self._policy = policy
        self._message_ids = message_ids
        self._reactor_thread: int | None = None
        self._is_open = True
        self._targets: dict[str, tuple[bool, Any]] = {}  # by subject, see _target()
        self._streams = StreamOutlet(streams, thread_queue, self._stream_opened, self._fail)

    def open(self, reactor_thread: int | None) -> None:
        """
        Accept messages.

        :param reactor_thread: its ident; None if it is not known yet, so that messages of any thread are queued.
        """
        self._reactor_thread = reactor_thread
        self._is_open = True
        if reactor_thread is not None and self._message_ids is None and self._policy != "fail":
            self.plain_thread = reactor_thread

    def close(self) -> None:
        """Accept no more messages."""
        self._is_open = False
        self._targets.clear()
        self.targets.clear()
        self._streams.close()

    def _publish_other(
        self, subject: str, payload: object, reply: str | None, headers: HeaderValues | None, options: PublishOptions
    ) -> Deferred[Any]:
        """
        Publish a message. Messages to one subject are sent in the order of the calls.

        Call this from any thread; the Deferred always fires in the reactor thread. To wait in another thread, use
        ``blockingCallFromThread(reactor, event.publish, subject, payload)``.

        Before the first start of the publisher, the message waits until there is a connection. After a stop, it fails
        until the next start.

        :param payload: bytes are sent as they are, a string as UTF-8, anything else as JSON. A callable is called in
            the thread pool, and returns the payload. Everything but a callable is encoded before this returns, and may
            be changed afterwards.
        :param reply: the subject for answers.
        :param headers: NATS headers, each with one value or several (NATS ADR-4).
        :param options: ``policy``, ``msg_id``, ``stream`` and others: see
            :class:`~natsroute.wire.publish_options.PublishOptions`. For the policies, see
            :data:`natsroute.publishing.options.PublishPolicy`.

        :return: fires with None when the server has the message; for a message to a stream, with the stream's
            :class:`~natsroute.jetstream.publishing.pub_ack.PubAck`. Cancelling it, in the reactor thread, withdraws a
            message that is not written yet. If it is written, its Deferred fails, and the message is sent. It fails
            with

            - :class:`~natsroute.errors.SubjectError`, :class:`~natsroute.errors.HeaderError` or
              :class:`~natsroute.errors.PayloadError` if the message cannot be encoded, or an argument is of a wrong
              type,
            - :class:`~natsroute.errors.SettingError` if there is no such policy,
            - :class:`~natsroute.errors.PayloadTooLargeError` if it is above the server's ``max_payload``,
            - :class:`~natsroute.errors.HeaderError` if it has headers, and the server does not support them,
            - :class:`~natsroute.errors.PermissionsError` if the server refuses the subject or the reply subject,
            - :class:`~natsroute.errors.PublishBufferFullError` if the worker, or the queue of messages from other
              threads, holds too many messages or bytes,
            - :class:`~natsroute.errors.PublishExpiredError` if it was not confirmed in time,
            - :class:`~natsroute.errors.ConnectionLostError` with the policy ``fail``,
            - :class:`~natsroute.errors.PublishDroppedError` with the policy ``drop``,
            - :class:`~natsroute.errors.PublisherStoppedError` if the publisher stopped first,
            - :class:`~natsroute.errors.PublishError` or :class:`~natsroute.errors.ServerError` if the server closed the
              connection each time that it got the message; the error says why,
            - whatever a callable payload raises,
            - for a message to a stream, :class:`~natsroute.jetstream.errors.JetStreamError` if the stream refuses it,
              or none takes it in time; there are subclasses. docs/jetstream-publishing.md has more.
        """
        if options:
            return self._publish_with(subject, payload, reply, headers, options)
        confirmation: Confirmation = self.confirmation_type()
        if get_ident() != self._reactor_thread:
            self._publish_from_thread(confirmation, subject, payload, reply, headers, self._policy)
            return confirmation
        command: Command
        try:
            is_stored, worker = self._targets.get(subject) or self._target(subject)
            if is_stored:  # the subject is one of those whose messages go to streams
                if type(payload) is bytes and headers is None is reply:
                    worker.add(confirmation, payload, self._policy)
                else:
                    self._streams.publish(confirmation, subject, payload, reply, headers, self._policy, {})
                return confirmation
            command, size = self._command(worker, subject, payload, reply, headers)
        except Exception as error:
            self._fail(confirmation, subject, Failure(_named(error, subject, reply, headers)))
            return confirmation
        worker.add(confirmation, command, size, self._policy)
        return confirmation

    def reject(self, error: NatsrouteError) -> Deferred[None]:
        """
        Count a message that cannot be published, because it has no subject.

        Call this from any thread.

        :return: fails with the error, in the reactor thread.
        """
        confirmation: Confirmation = self.confirmation_type()
        if get_ident() == self._reactor_thread:
            self._fail(confirmation, _NO_SUBJECT, Failure(error))
        else:
            confirmation.has_callbacks = True  # this thread may add one at any moment
            self._thread_queue.put_failure(self._fail, confirmation, _NO_SUBJECT, Failure(error))
        return confirmation

    def _target(self, subject: str) -> tuple[bool, Any]:
        """Whether messages to this subject go to a stream, and what publishes them: else it is a worker."""
        self._check_open(subject)
        if len(self._targets) >= _MAX_TARGETS:
            self._targets.clear()
            self.targets.clear()
        if self._streams.takes(subject):
            target = self._targets[subject] = True, self._streams.target(subject)
            return target
        name, worker = encode_subject(subject), self.worker_for(subject)
        self._unhandled.publishes(self._route, subject)
        self.targets[subject] = Target(name, worker.buffer)
        self._targets[subject] = False, worker
        return False, worker

    def _stream_opened(self, subject: str) -> None:
        """Messages to this subject are going to streams."""
        self._check_open(subject)
        self._unhandled.publishes(self._route, subject)

    def _check_open(self, subject: str) -> None:
        if not self._is_open:
            raise PublisherStoppedError(f"the message to {subject} was not sent: the publisher stops, or has stopped")

    def worker_for(self, subject: str) -> PublishWorker:
        """The worker that publishes the messages to a subject."""
        return self._workers[hash(subject) % len(self._workers)]

    def _publish_with(
        self,
        subject: str,
        payload: object,
        reply: str | None,
        headers: HeaderValues | None,
        options: PublishOptions,
    ) -> Deferred[Any]:
        """Publish with options, in any thread."""
        confirmation: Confirmation = self.confirmation_type()
        is_here = get_ident() == self._reactor_thread
        policy, msg_id = options.get("policy"), options.get("msg_id")
        is_usual = options.keys() <= _FOR_ALL_MESSAGES
        names: Sequence[str] = () if is_usual else stream_options(options)
        try:
            if policy is None:
                policy = self._policy
            else:
                check_policy(policy)
            if is_usual and is_here:
                is_stored, worker = self._targets.get(subject) or self._target(subject)
                if not is_stored:
                    self._add(confirmation, worker, subject, payload, reply, headers, msg_id, policy)
                    return confirmation
            if self._streams.wants(subject, options.get("stream"), names):
                self._streams.publish(
                    confirmation, subject, payload, reply, headers, policy, options, from_thread=not is_here
                )
            elif is_here:  # stream=False
                self._check_open(subject)
                self._add(confirmation, self.worker_for(subject), subject, payload, reply, headers, msg_id, policy)
            else:
                if msg_id is not None:
                    headers = with_message_id(headers, msg_id)
                self._publish_from_thread(confirmation, subject, payload, reply, headers, policy, is_plain=True)
        except Exception as error:
            self._fail_here_or_there(confirmation, subject, _named(error, subject, reply, headers), is_here=is_here)
        return confirmation

    def _add(
        self,
        confirmation: Confirmation,
        worker: PublishWorker,
        subject: str,
        payload: object,
        reply: str | None,
        headers: HeaderValues | None,
        msg_id: str | None,
        policy: str,
    ) -> None:
        """Encode a message, and give it to its worker."""
        if msg_id is not None:
            headers = with_message_id(headers, msg_id)
        command, size = self._command(worker, subject, payload, reply, headers)
        worker.add(confirmation, command, size, policy)

    def _command(
        self, worker: PublishWorker, subject: str, payload: object, reply: str | None, headers: HeaderValues | None
    ) -> tuple[Command, int]:
        """The command, and the bytes that ``max_payload`` limits; 0 if it is unserialised."""
        if self._message_ids is not None:
            headers = {MESSAGE_ID: next(self._message_ids), **all_values(headers or {})}
        if headers and not worker.buffer.takes_headers:
            encode_headers(headers)  # what is malformed is so for every server
            raise HeaderError(NO_HEADERS)
        if type(payload) is not bytes:
            if callable(payload):
                block = encode_headers(headers) if headers else b""
                empty = encode_pub(subject, b"", reply, block)  # what is invalid fails at once, not in the pool
                return Unserialised(subject, partial(_serialise, subject, payload, reply, block), len(empty)), 0
            payload = payloads.to_bytes(payload)
        return _encode(subject, payload, reply, headers)

    def _fail(self, confirmation: Confirmation, subject: str, failure: Failure) -> None:
        self.rejected += 1
        confirmation.fail(failure, partial(self._unhandled.add, subject=subject, route=self._route))

    # -- other threads ----------------------------------------------------------------------------------------------

    def _publish_from_thread(
        self,
        confirmation: Confirmation,
        subject: str,
        payload: object,
        reply: str | None,
        headers: HeaderValues | None,
        policy: str,
        *,
        is_plain: bool = False,
    ) -> None:
        """
        Encode the message in this thread, and let the reactor thread do the rest.

        :param is_plain: whether it is known not to go to a stream.
        """
        confirmation.has_callbacks = True  # this thread may add one at any moment
        try:
            if not is_plain and self._streams.takes(subject):
                self._streams.publish(confirmation, subject, payload, reply, headers, policy, {}, from_thread=True)
                return
            worker = self.worker_for(subject)
            command, size = self._command(worker, subject, payload, reply, headers)
            self._thread_queue.put(
                len(command), self._add_from_thread, confirmation, subject, worker, command, size, policy
            )
        except Exception as error:
            error = _named(error, subject, reply, headers)
            self._fail_here_or_there(confirmation, subject, error, is_here=False)

    def _fail_here_or_there(self, confirmation: Confirmation, subject: str, error: Exception, *, is_here: bool) -> None:
        """Fail a message; in the reactor thread if this is another one."""
        failure = Failure(error)
        if is_here:
            self._fail(confirmation, subject, failure)
            return
        confirmation.has_callbacks = True
        failure.cleanFailure()
        self._thread_queue.put_failure(self._fail, confirmation, subject, failure)

    def _add_from_thread(
        self,
        confirmation: Confirmation,
        subject: str,
        worker: PublishWorker,
        command: Command,
        size: int,
        policy: str,
    ) -> None:
        if confirmation.called:  # cancelled
            self.rejected += 1
            return
        try:
            self._check_open(subject)
            self._unhandled.publishes(self._route, subject)
        except NatsrouteError:
            self._fail(confirmation, subject, Failure())
        else:
            worker.add(confirmation, command, size, policy)


def _named(error: Exception, subject: object, reply: object, headers: object) -> Exception:
    """An error that names the argument, if the error comes from an argument of a wrong type."""
    if isinstance(error, NatsrouteError):
        return error
    if not isinstance(subject, str):
        return SubjectError(f"subject: it must be a string, not {type(subject).__name__}")
    if not isinstance(reply, (str, type(None))):
        return SubjectError(f"reply: it must be a string or None, not {type(reply).__name__}")
    if headers is not None and not hasattr(headers, "items"):
        return HeaderError(f"headers: they must be a mapping or None, not {type(headers).__name__}")
    return error


def _serialise(subject: str, payload: Callable[[], object], reply: str | None, block: bytes) -> bytes:
    return encode_pub(subject, payloads.to_bytes(payload()), reply, block)
