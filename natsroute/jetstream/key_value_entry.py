"""One entry of a key-value bucket: the value of a key at a revision, or the mark that the key was deleted."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal

import attrs

from natsroute import payloads
from natsroute.errors import DecodeError
from natsroute.jetstream.errors import JetStreamError
from natsroute.jetstream.key_value_names import key_of
from natsroute.wire.ack_subject import parse_ack_subject
from natsroute.wire.frames import Msg
from natsroute.wire.headers import Headers, parse_headers

#: What became of a key. Deleting keeps its history, purging removes it.
Operation = Literal["put", "delete", "purge"]

#: The header that marks a key as deleted, and its values.
OPERATION = "KV-Operation"
DELETE, PURGE = "DEL", "PURGE"
#: The header of a mark that the server makes itself, because a value has expired.
MARKER_REASON = "Nats-Marker-Reason"
#: The header that says how many seconds a message is kept, or ``never`` (NATS ADR-43).
TTL = "Nats-TTL"

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
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
    :ivar created: when the server stored the change, in seconds since 1970 (UTC).
    :ivar operation: ``"put"``, ``"delete"`` or ``"purge"``. A value that has expired was purged.
    :ivar delta: of a watch: how many entries follow that are in the bucket already; otherwise 0.
    :ivar headers: the headers of the message.
    """

    bucket: str
    key: str
    value: bytes
    revision: int
    created: float
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


def operation_of(headers: Headers) -> Operation:
    """What became of the key that a message with these headers is about."""
    operation = headers.get(OPERATION)
    if operation == DELETE:
        return "delete"
    if operation == PURGE:
        return "purge"
    reason = headers.get(MARKER_REASON)
    if reason is None:
        return "put"
    return "delete" if reason == "Remove" else "purge"  # MaxAge, Purge, and what later servers may say


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
        delivery.timestamp / 1_000_000_000,
        operation_of(headers),
        delivery.pending,
        headers,
    )


def direct_entry(bucket: str, msg: Msg) -> Entry:
    """
    The entry that a direct get answers with (NATS ADR-31).

    :raises JetStreamError: the answer is malformed.
    """
    try:
        headers = msg.headers
        revision, created = int(headers["Nats-Sequence"]), parse_time(headers["Nats-Time-Stamp"])
        return Entry(
            bucket,
            key_of(headers["Nats-Subject"]),
            msg.data,
            revision,
            created,
            operation_of(headers),
            headers=headers,
        )
    except (KeyError, ValueError, DecodeError) as problem:
        raise JetStreamError(f"the answer of bucket {bucket} is no message: {problem!r}") from None


def stored_entry(bucket: str, message: Mapping[str, Any]) -> Entry:
    """
    The entry in an answer of ``STREAM.MSG.GET``.

    :raises JetStreamError: the answer is malformed.
    """
    try:
        block = base64.b64decode(message.get("hdrs") or "", validate=True)
        headers = parse_headers(block) if block else Headers()
        return Entry(
            bucket,
            key_of(str(message["subject"])),
            base64.b64decode(message.get("data") or "", validate=True),
            int(message["seq"]),
            parse_time(str(message["time"])),
            operation_of(headers),
            headers=headers,
        )
    except (KeyError, TypeError, ValueError, binascii.Error, DecodeError) as problem:
        raise JetStreamError(f"the answer of bucket {bucket} is no message: {problem!r}") from None


def parse_time(text: str) -> float:
    """
    Seconds since 1970 of a time as the server writes it (RFC 3339, with up to nine digits behind the seconds).

    :raises ValueError: it is no such time.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    zone = "+00:00" if found[3] == "Z" else found[3]
    moment = datetime.fromisoformat(found[1] + zone).astimezone(timezone.utc)
    return moment.timestamp() + float(f"0{found[2] or ''}")
