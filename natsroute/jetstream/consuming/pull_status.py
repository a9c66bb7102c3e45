"""What the server says instead of a message: why a pull ended, or that it has not ended."""

from __future__ import annotations

import enum
import re

import attrs

from natsroute.errors import DecodeError
from natsroute.wire.frames import Msg
from natsroute.wire.headers import Headers


class StatusKind(enum.Enum):
    """
    The kinds of statuses.

    HEARTBEAT: the pull waits for messages. EXPIRED: it was not filled in time. NO_MESSAGES: the same, at once. FILLED:
    the server ends it although messages are missing. BYTES: the next message is larger than what is left of its bytes.
    DELETED: the consumer was deleted. MOVED: another server leads the consumer now, or the server shuts down.
    PUSH_CONSUMER: one cannot pull from it. MAX_ACK_PENDING, MAX_WAITING: it has too many unacknowledged messages or too
    many pulls. MAX_BATCH, MAX_EXPIRES, MAX_BYTES: the pull asks for more than the consumer allows. WRONG_PIN: another
    client has the pin. BAD_REQUEST: the server does not understand the pull. NO_RESPONDERS: nothing answers for the
    consumer. OTHER: a status that natsroute does not know.
    """

    HEARTBEAT = enum.auto()
    EXPIRED = enum.auto()
    NO_MESSAGES = enum.auto()
    FILLED = enum.auto()
    BYTES = enum.auto()
    DELETED = enum.auto()
    MOVED = enum.auto()
    PUSH_CONSUMER = enum.auto()
    MAX_ACK_PENDING = enum.auto()
    MAX_WAITING = enum.auto()
    MAX_BATCH = enum.auto()
    MAX_EXPIRES = enum.auto()
    MAX_BYTES = enum.auto()
    WRONG_PIN = enum.auto()
    BAD_REQUEST = enum.auto()
    NO_RESPONDERS = enum.auto()
    OTHER = enum.auto()


@attrs.frozen
class PullStatus:
    """
    A status of a pull.

    :ivar kind: what it means.
    :ivar text: code and text as the server gave them.
    :ivar messages: messages that the pull did not bring; None if the status does not say that.
    :ivar bytes: the same for bytes.
    :ivar limit: for MAX_BATCH and MAX_BYTES the number, for MAX_EXPIRES the seconds, that the consumer allows; None if
        the text has none.
    """

    kind: StatusKind
    text: str
    messages: int | None = None
    bytes: int | None = None
    limit: float | None = None


_BY_CODE = {
    100: StatusKind.HEARTBEAT,
    400: StatusKind.BAD_REQUEST,
    404: StatusKind.NO_MESSAGES,
    408: StatusKind.EXPIRED,
    412: StatusKind.BAD_REQUEST,
    423: StatusKind.WRONG_PIN,
    503: StatusKind.NO_RESPONDERS,
}

#: How the texts of 409 begin, in small letters.
_CONFLICTS = {
    "message size exceeds maxbytes": StatusKind.BYTES,
    "batch completed": StatusKind.FILLED,
    "consumer deleted": StatusKind.DELETED,
    "consumer is push based": StatusKind.PUSH_CONSUMER,
    "leadership change": StatusKind.MOVED,
    "server shutdown": StatusKind.MOVED,
    "exceeded maxackpending": StatusKind.MAX_ACK_PENDING,
    "exceeded maxwaiting": StatusKind.MAX_WAITING,
    "exceeded maxrequestbatch": StatusKind.MAX_BATCH,
    "exceeded maxrequestexpires": StatusKind.MAX_EXPIRES,
    "exceeded maxrequestmaxbytes": StatusKind.MAX_BYTES,
}

#: A duration as Go writes it, such as ``1m30s`` or ``1.5s``, and the seconds of its units.
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|us|µs|ns)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def pull_status(msg: Msg) -> PullStatus:
    """Read a message without an ack subject. A malformed one is of the kind OTHER."""
    try:
        headers = msg.headers
    except DecodeError as error:
        return PullStatus(StatusKind.OTHER, str(error))
    code, description = headers.status, headers.description
    text = description.lower()
    kind = _BY_CODE.get(code or 0, StatusKind.OTHER)
    if code == 409:
        kind = next((kind for begin, kind in _CONFLICTS.items() if text.startswith(begin)), StatusKind.OTHER)
    return PullStatus(
        kind,
        f"{code} {description}".rstrip(),
        messages=_number(headers, "Nats-Pending-Messages"),
        bytes=_number(headers, "Nats-Pending-Bytes"),
        limit=_limit(kind, text.rpartition(" of ")[2]),
    )


def _number(headers: Headers, name: str) -> int | None:
    value = headers.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 20 else None


def _limit(kind: StatusKind, text: str) -> float | None:
    if kind is StatusKind.MAX_EXPIRES:
        parts = _DURATION.findall(text[:100])
        return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else None
    if kind in (StatusKind.MAX_BATCH, StatusKind.MAX_BYTES) and text.isdecimal() and len(text) < 20:
        return int(text)
    return None
