"""A publisher without a server: it keeps what is published. Everything is checked and encoded as in production."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from natsroute import payloads
from natsroute.daemon.sending.batch_publish import BatchItem, batch_message
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import MisuseError, NatsrouteError
from natsroute.jetstream.publishing.pub_ack import PubAck
from natsroute.ledger import Ledger, PublisherAccount
from natsroute.publishing.options import check_policy
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import HeaderValues, encode_headers, with_message_id
from natsroute.wire.publish_options import stream_headers, stream_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from natsroute.wire.publish_options import PublishOptions


#: The stream that acknowledges what a route publishes in memory.
MEMORY_STREAM = "MEMORY"


@attrs.frozen
class Published:
    """
    A message that a route published.

    :ivar data: the payload, as the bytes that would go over the wire.
    :ivar reply: the reply subject, or None.
    :ivar headers: the headers that the route gave, or None. A ``msg_id`` is among them, as ``Nats-Msg-Id``.
    :ivar stream: whether it goes to a stream.
    :ivar options: what the route gave that only messages to streams have, such as ``ttl``. In a batch, ``batch`` names
        it.
    """

    subject: str
    data: bytes
    reply: str | None = None
    headers: HeaderValues | None = None
    stream: bool = False
    options: Mapping[str, object] = attrs.field(factory=dict)


class MemoryPublisher:
    """
    Publishes to a function, in whatever thread it is called.

    :param on_published: called with each message that is valid.
    :param takes: whether messages to a subject go to streams without being asked to.
    """

    def __init__(
        self, on_published: Callable[[Published], object], takes: Callable[[str], bool] = lambda subject: False
    ) -> None:
        self._on_published = on_published
        self._takes = takes
        self._sequence = self._batches = 0

    def publish(
        self,
        subject: str,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        **options: Unpack[PublishOptions],
    ) -> Deferred[Any]:
        """
        As :meth:`natsroute.publishing.outlet.Outlet.publish`.

        :return: has fired, for a message to a stream with a made-up
            :class:`~natsroute.jetstream.publishing.pub_ack.PubAck`; or has failed, if the message cannot be published.
        """
        names = stream_options(options)
        policy, msg_id, stream = (options.get(name) for name in ("policy", "msg_id", "stream"))
        is_to_stream = self._takes(subject) if stream is None else bool(stream)
        try:
            if policy is not None:
                check_policy(str(policy))
            if names and not is_to_stream:
                raise MisuseError(f"{names[0]}: only messages to streams have this option; give stream=True, too")
            if is_to_stream and reply is not None:
                raise MisuseError("reply: a message to a stream has none, because the stream answers there")
            if msg_id is not None:
                headers = with_message_id(headers, msg_id)  # type: ignore[arg-type]
            data = payloads.to_bytes(payload() if callable(payload) else payload)
            all_headers = stream_headers(subject, headers, options) if is_to_stream else headers
            encode_pub(subject, data, reply, encode_headers(all_headers) if all_headers else b"")
        except NatsrouteError as error:
            return fail(error)
        given: dict[str, object] = {name: options[name] for name in names}  # type: ignore[literal-required]
        self._on_published(Published(subject, data, reply, headers, is_to_stream, given))
        if not is_to_stream:
            return succeed(None)
        self._sequence += 1
        return succeed(PubAck(str(options.get("expected_stream") or MEMORY_STREAM), self._sequence))

    def publish_all(self, messages: Iterable[BatchItem], *, policy: str | None = None) -> Deferred[Any]:
        """
        As :meth:`natsroute.daemon.sending.batch_publish.BatchPublish.publish_all`.

        :return: has fired, with a made-up acknowledgement; or has failed, and then none of them is published.
        """
        items = [*messages]
        try:
            if policy is not None:
                check_policy(policy)
            batch = [batch_message(item, lambda: "id") for item in items]
        except NatsrouteError as error:
            return fail(error)
        if not batch:
            return fail(MisuseError("messages: a batch has at least one message"))
        self._batches += 1
        name = f"batch-{self._batches}"
        for item, message in zip(items, batch):
            options: dict[str, Any] = dict(item[2]) if len(item) == 3 else {}
            headers, msg_id = options.pop("headers", None), options.pop("msg_id", None)
            if msg_id is not None:
                headers = with_message_id(headers, msg_id)
            self._on_published(Published(item[0], message.data, None, headers, True, {**options, "batch": name}))
        self._sequence += len(batch)
        return succeed(PubAck(MEMORY_STREAM, self._sequence, batch=name, count=len(batch)))


class MemoryService:
    """
    What hooks are given without a server: a :class:`~natsroute.RunningService`.

    :param requests: answers requests: a :class:`~natsroute.daemon.memory.requests.MemoryRequests`.
    :param published: returns how many messages were published so far.

    :ivar publish: publishes a message.
    :ivar publish_all: publishes a batch.
    :ivar request: sends a request.
    :ivar request_many: sends one, and takes several answers.
    :ivar settings: the settings.
    :ivar key_value: gives a bucket.
    """

    def __init__(
        self,
        publisher: MemoryPublisher,
        requests: Any,
        settings: Settings,
        published: Callable[[], int],
    ) -> None:
        self.publish, self.publish_all = publisher.publish, publisher.publish_all
        self.request, self.request_many = requests.request, requests.request_many
        self.key_value = requests.key_value
        self.settings = settings
        self._published = published

    def flush(self) -> Deferred[None]:
        """Everything is confirmed at once."""
        return succeed(None)

    def ledger(self) -> Ledger:
        """It counts what was published."""
        count = self._published()
        return Ledger((), (), PublisherAccount(count, confirmed=count, failed=0, dropped=0, resent=0, in_progress=0))
