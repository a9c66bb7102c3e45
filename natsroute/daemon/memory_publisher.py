"""A publisher without a server: it keeps what is published. Everything is checked and encoded as in production."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from natsroute import payloads
from natsroute.daemon.key_values import KeyValues
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import NatsrouteError
from natsroute.ledger import Ledger, PublisherAccount
from natsroute.publishing.options import check_policy
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import HeaderValues, encode_headers, with_message_id


@attrs.frozen
class Published:
    """
    A message that a route published.

    :ivar data: the payload, as the bytes that would go over the wire.
    :ivar reply: the reply subject, or None.
    :ivar headers: the headers that the route gave, or None. A ``msg_id`` is among them, as ``Nats-Msg-Id``.
    """

    subject: str
    data: bytes
    reply: str | None = None
    headers: HeaderValues | None = None


class MemoryPublisher:
    """
    Publishes to a function, in whatever thread it is called.

    :param on_published: called with each message that is valid.
    """

    def __init__(self, on_published: Callable[[Published], object]) -> None:
        self._on_published = on_published

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
        As :meth:`natsroute.publishing.outlet.Outlet.publish`.

        :return: has fired; or has failed, if the message cannot be published.
        """
        try:
            if policy is not None:
                check_policy(policy)
            if msg_id is not None:
                headers = with_message_id(headers, msg_id)
            data = payloads.to_bytes(payload() if callable(payload) else payload)
            encode_pub(subject, data, reply, encode_headers(headers) if headers else b"")
        except NatsrouteError as error:
            return fail(error)
        self._on_published(Published(subject, data, reply, headers))
        return succeed(None)


class MemoryService:
    """
    What hooks are given without a server: a :class:`~natsroute.RunningService`.

    :param requests: answers requests: a :class:`~natsroute.daemon.memory_requests.MemoryRequests`.
    :param published: returns how many messages were published so far.
    :param key_values: its key-value buckets.

    :ivar publish: publishes a message.
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
        key_values: KeyValues,
    ) -> None:
        self.publish = publisher.publish
        self.request, self.request_many = requests.request, requests.request_many
        self.key_value = key_values.key_value
        self.settings = settings
        self._published = published

    def flush(self) -> Deferred[None]:
        """Everything is confirmed at once."""
        return succeed(None)

    def ledger(self) -> Ledger:
        """It counts what was published."""
        count = self._published()
        return Ledger((), (), PublisherAccount(count, confirmed=count, failed=0, dropped=0, resent=0, in_progress=0))
