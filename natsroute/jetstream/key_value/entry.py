"""One entry of a key-value bucket: the value of a key at a revision, or the mark that the key was deleted."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs

from natsroute import payloads
from natsroute.errors import DecodeError
from natsroute.jetstream.management.stored_messages import StoredMessage
from natsroute.wire.ack_subject import parse_ack_subject
from natsroute.wire.frames import Msg
from natsroute.wire.headers import Headers
from natsroute.wire.key_value import Operation, key_of, operation_of

#: The header that says how many seconds a message is kept, or ``never`` (NATS ADR-43).
TTL = "Nats-TTL"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@attrs.frozen
class Entry:
    """
    The value of a key at a revision, or the mark that the key was deleted.

    :ivar bucket: the bucket.
    :ivar key: the key.
    :ivar value: the value; empty if the key was deleted.
    :ivar revision: the sequence of the change in the bucket. Later changes have higher revisions.
    :ivar created: when the server stored the change: UTC, to the microsecond.
    :ivar operation: ``"put"``, ``"delete"`` or ``"purge"``. A value that has expired was purged.
    :ivar delta: of a watch: how many entries follow that are in the bucket already; otherwise 0.
    :ivar headers: the headers of the message.
    """

    bucket: str
    key: str
    value: bytes
    revision: int
    created: datetime
    operation: Operation = "put"
    delta: int = 0
    headers: Headers = attrs.field(factory=Headers, eq=False, repr=False)

    @property
    def is_deleted(self) -> bool:
        """Whether the key has no value."""
        return self.operation != "put"

    @property
    def ttl(self) -> float | None:
        """How many seconds after ``created`` the server removes the entry; None if it has no time of its own."""
        return ttl_of(self.headers)

    def text(self) -> str:
        """
        Decode the value as UTF-8 text.

        :raises DecodeError: it is not UTF-8.
        """
        return payloads.to_text(self.value, self.key)

    def json(self) -> Any:
        """
        Decode the value as JSON.

        :raises DecodeError: it is not JSON.
        """
        return payloads.to_json(self.value, self.key)


def ttl_of(headers: Headers) -> float | None:
    """Seconds after which the server removes a message with these headers; None if it says nothing of its own."""
    value = headers.get(TTL)
    if value is None:
        return None
    if value.isdecimal():
        return float(value)
    parts = _DURATION.findall(value)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else None


def watched_entry(bucket: str, msg: Msg) -> Entry:
    """
    The entry that a consumer of the bucket's stream delivers.

    :raises DecodeError: the message does not come from a consumer, or its headers are malformed.
    """
    delivery = None if msg.reply_to is None else parse_ack_subject(msg.reply_to)
    if delivery is None:
        raise DecodeError(f"a message to {msg.subject} does not come from a consumer of bucket {bucket}")
    headers = msg.headers
    return Entry(
        bucket,
        key_of(msg.subject),
        msg.data,
        delivery.sequence,
        moment_of(delivery.timestamp),
        operation_of(headers),
        delivery.pending,
        headers,
    )


def stored_entry(bucket: str, message: StoredMessage) -> Entry:
    """The entry that a message of the bucket's stream is."""
    return Entry(
        bucket,
        key_of(message.subject),
        message.data,
        message.sequence,
        moment_of(message.timestamp),
        operation_of(message.headers),
        headers=message.headers,
    )


def moment_of(nanoseconds: int) -> datetime:
    """The moment so many nanoseconds after 1970 began (UTC), to the microsecond."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
