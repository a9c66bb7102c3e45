"""The way of a message from ``publish()`` to what publishes to streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from natsroute import payloads
from natsroute.confirmation import Confirmation
from natsroute.errors import MisuseError, NatsrouteError
from natsroute.publishing.options import Streams, StreamTarget
from natsroute.publishing.thread_queue import ThreadQueue
from natsroute.wire.encoder import encode_subject
from natsroute.wire.headers import HeaderValues, encode_headers
from natsroute.wire.publish_options import is_scheduled, stream_headers

if TYPE_CHECKING:
    from natsroute.wire.publish_options import PublishOptions

#: Subjects whose targets an outlet remembers.
_MAX_TARGETS = 8192


class StreamOutlet:
    """
    Encodes messages to streams, and passes them on, from any thread.

    :param streams: publishes to streams; None: nothing does.
    :param on_subject: called with each new subject. It raises an exception if nothing may be published.
    :param fail: fails a message in the reactor thread.
    """

    def __init__(
        self,
        streams: Streams | None,
        thread_queue: ThreadQueue,
        on_subject: Callable[[str], None],
        fail: Callable[[Confirmation, str, Failure], None],
    ) -> None:
        self._streams = streams
        self._thread_queue = thread_queue
        self._on_subject = on_subject
        self._fail = fail
        self._targets: dict[str, StreamTarget] = {}

    def close(self) -> None:
        """Forget all subjects, so that :attr:`on_subject` is called again."""
        self._targets.clear()

    def takes(self, subject: str) -> bool:
        """Whether messages to a subject go to streams without being asked to."""
        return self._streams is not None and self._streams.takes(subject)

    def wants(self, subject: str, stream: bool | None, options: Sequence[str]) -> bool:
        """
        Whether a message goes to a stream.

        :param stream: what its publish says.
        :param options: its options that only messages to streams have.
        :raises MisuseError: it has some, and does not go to one; or there is nothing that publishes to streams.
        """
        if stream is None:
            stream = self.takes(subject)
        if options and not stream:
            raise MisuseError(f"{options[0]}: only messages to streams have this option; give stream=True, too")
        if stream and self._streams is None:
            raise MisuseError("stream: there is nothing that publishes to streams")
        return stream

    def target(self, subject: str) -> StreamTarget:
        """
        What publishes to a subject. Runs in the reactor thread.

        :raises SubjectError: the subject is invalid.
        """
        target = self._targets.get(subject)
        if target is None:
            self._on_subject(subject)
            assert self._streams is not None
            target = self._streams.subject(subject)
            if len(self._targets) >= _MAX_TARGETS:
                self._targets.clear()
            self._targets[subject] = target
        return target

    def publish(
        self,
        confirmation: Confirmation,
        subject: str,
        payload: object,
        reply: str | None,
        headers: HeaderValues | None,
        policy: str,
        options: PublishOptions,
        *,
        from_thread: bool = False,
    ) -> None:
        """
        Publish a message.

        :raises NatsrouteError: it cannot be encoded; or too many wait on their way from other threads.
        """
        if reply is not None:
            raise MisuseError("reply: a message to a stream has none, because the stream answers there")
        headers = stream_headers(subject, headers, options)
        if is_scheduled(options):
            assert self._streams is not None
            subject = options.get("schedule") or f"{subject}.schedule.{self._streams.next_id()}"
        block = encode_headers(headers) if headers else b""
        data = partial(_serialise, payload) if callable(payload) else payloads.to_bytes(payload)
        if from_thread:
            encode_subject(subject)  # an invalid subject fails here, and not among the calls of the thread queue
            confirmation.has_callbacks = True  # that thread may add one at any moment
            size = len(block) if callable(data) else len(block) + len(data)
            self._thread_queue.put(size, self._add_from_thread, confirmation, subject, data, block, policy)
        else:
            self._add(confirmation, subject, data, block, policy)

    def _add(
        self, confirmation: Confirmation, subject: str, data: bytes | Callable[[], bytes], block: bytes, policy: str
    ) -> None:
        target = self._targets.get(subject) or self.target(subject)
        if block or callable(data):
            target.add_with_headers(confirmation, data, block, policy)
        else:
            target.add(confirmation, data, policy)

    def _add_from_thread(
        self, confirmation: Confirmation, subject: str, data: bytes | Callable[[], bytes], block: bytes, policy: str
    ) -> None:
        try:
            self._add(confirmation, subject, data, block, policy)
        except NatsrouteError:
            self._fail(confirmation, subject, Failure())


def _serialise(payload: Callable[[], object]) -> bytes:
    return payloads.to_bytes(payload())
