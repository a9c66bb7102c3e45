"""``publish_all()``: from its arguments to an atomic batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, fail

from natsroute import payloads
from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.errors import MisuseError, NatsrouteError, PublisherStoppedError
from natsroute.jetstream.publishing.atomic_batch import AtomicBatches, BatchMessage
from natsroute.publishing.options import check_policy
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import encode_headers
from natsroute.wire.publish_options import is_scheduled, stream_headers, stream_options

#: A message of a batch: subject and payload, and then its options, if there are any: ``headers`` and those of a
#: message to a stream.
BatchItem: TypeAlias = "tuple[str, object] | tuple[str, object, Mapping[str, Any]]"


def batch_message(item: BatchItem, next_id: Callable[[], str]) -> BatchMessage:
    """
    Encode a message of a batch.

    :param next_id: gives an id for a subject.
    :raises NatsrouteError: the message is invalid.
    """
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        raise MisuseError(f"messages: each must be a tuple of subject, payload and options, not {item!r}"[:200])
    options: dict[str, Any] = dict(item[2]) if len(item) == 3 else {}
    headers = options.pop("headers", None)
    stream_options(options)  # type: ignore[arg-type]  # raises for unknown ones
    subject = item[0]
    headers = stream_headers(subject, headers, options)  # type: ignore[arg-type]
    if is_scheduled(options):  # type: ignore[arg-type]
        subject = options.get("schedule") or f"{subject}.schedule.{next_id()}"
    block = encode_headers(headers) if headers else b""
    data = payloads.to_bytes(item[1])
    encode_pub(subject, b"", None, block)  # which checks the subject
    return BatchMessage(subject, data, block)


class BatchPublish:
    """
    Publishes atomic batches for a service.

    :param thread: the reactor thread.
    :param on_needed: called in the reactor thread before the connection is needed.
    :param policy: the policy of batches that name none.
    :param next_id: gives an id for a subject. Any thread may call it.
    """

    def __init__(
        self,
        batches: AtomicBatches,
        thread: ReactorThread,
        on_needed: Callable[[], object],
        policy: str,
        next_id: Callable[[], str],
    ) -> None:
        self.is_open = True
        self._batches = batches
        self._thread = thread
        self._on_needed = on_needed
        self._policy = policy
        self._next_id = next_id

    def publish_all(self, messages: Iterable[BatchItem], *, policy: str | None = None) -> Deferred[Any]:
        """
        Publish several messages that a stream stores all or none (NATS ADR-50). Call this from any thread; the Deferred
        fires in the reactor thread.

        The stream needs ``allow_atomic``, and takes all of the subjects. A server allows 1,000 messages.

        :param messages: for each message a tuple of subject and payload, and then, if there are any, of its options: a
            mapping with ``headers``, ``msg_id``, ``ttl`` and the others of
            :class:`~natsroute.wire.publish_options.PublishOptions`. The payload is bytes, text or JSON, no callable.
        :param policy: ``"fail"``: the batch is sent once. Otherwise it is sent again, as a single message is; if the
            stream has it already, none of its messages is stored twice.
        :return: fires with the :mod:`PubAck <natsroute.jetstream.publishing.pub_ack>` of the last message. If it was
            sent again because its acknowledgement was lost, ``duplicate`` is set, and ``stream`` and ``sequence`` are
            unknown: empty and 0. It fails with
            :class:`~natsroute.jetstream.errors.BatchError` or another
            :class:`~natsroute.jetstream.errors.JetStreamError` if the stream refuses it, with
            :class:`~natsroute.jetstream.errors.DuplicateInBatchError` if the stream has a message with one of the
            ``msg_id``, and otherwise as the Deferred of a single message. Cancelling it ends the wait.
        """
        try:
            if policy is not None:
                check_policy(policy)
            batch = [batch_message(item, self._next_id) for item in messages]
        except NatsrouteError as error:
            return fail(error)
        if not batch:
            return fail(MisuseError("messages: a batch has at least one message"))
        is_kept = (policy or self._policy) != "fail"
        if self._thread.is_current:
            return self._publish(batch, is_kept=is_kept)
        return self._thread.run(lambda: self._publish(batch, is_kept=is_kept))

    def _publish(self, batch: list[BatchMessage], *, is_kept: bool) -> Deferred[Any]:
        if not self.is_open:
            return fail(PublisherStoppedError("the batch was not sent: the publisher stops, or has stopped"))
        self._on_needed()
        return self._batches.publish(batch, is_kept=is_kept)
