"""
The options of ``publish()``, and the headers that they become for a message to a JetStream stream.

Sources: NATS ADR-4 (headers), ADR-43 (TTL of single messages), ADR-51 (scheduled messages).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypedDict

from natsroute.errors import MisuseError
from natsroute.wire.headers import MESSAGE_ID, all_values

if TYPE_CHECKING:
    from natsroute.wire.headers import HeaderValues


class PublishOptions(TypedDict, total=False):
    """
    What ``publish()`` takes by name, in addition to the message.

    For all messages:

    :ivar policy: ``"keep"``, ``"fail"`` or ``"drop"``, instead of the default of the publisher.
    :ivar msg_id: the header ``Nats-Msg-Id``, by which a stream detects a message that was sent twice.
    :ivar stream: True: wait until a stream has stored the message; False: do not, although ``jetstream_publish`` names
        the subject.

    For messages to streams:

    :ivar expected_stream: the stream that must take the message.
    :ivar expected_last_sequence: the sequence that the last message of the stream must have.
    :ivar expected_last_subject_sequence: the sequence that the last message to this subject must have; 0: none.
    :ivar expected_last_msg_id: the id that the last message of the stream must have.
    :ivar ttl: seconds after which the stream removes the message, at least 1; or ``"never"``.
    :ivar after: seconds until the message appears at its subject, in the same stream.
    :ivar at: when it appears: an aware datetime, or seconds since 1970.
    :ivar schedule: the subject at which the stream keeps the message until then. Another message to this subject
        replaces it.
    """

    policy: str | None
    msg_id: str | None
    stream: bool | None
    expected_stream: str | None
    expected_last_sequence: int | None
    expected_last_subject_sequence: int | None
    expected_last_msg_id: str | None
    ttl: float | str | None
    after: float | None
    at: datetime | float | None
    schedule: str | None


#: The options that only messages to streams have.
STREAM_OPTIONS = frozenset(PublishOptions.__annotations__) - {"policy", "msg_id", "stream"}

#: The longest TTL and delay, in seconds: a hundred years. More does not fit into the server's nanoseconds.
_MAX_SECONDS = 100 * 366 * 86400.0


def stream_options(options: PublishOptions) -> list[str]:
    """
    The names of the options in use that only messages to streams have.

    :raises TypeError: there is no such option, as Python itself says of an unknown argument.
    """
    for name in options:
        if name not in PublishOptions.__annotations__:
            raise TypeError(f"publish() got an unexpected keyword argument {name!r}")
    return [name for name, value in options.items() if name in STREAM_OPTIONS and value is not None]


def is_scheduled(options: PublishOptions) -> bool:
    """Whether the message is to appear later."""
    return options.get("after") is not None or options.get("at") is not None


def stream_headers(
    subject: str, headers: HeaderValues | None, options: PublishOptions, now: Callable[[], float] = time.time
) -> HeaderValues | None:
    """
    The headers of a message to a stream.

    :param subject: the subject of the message; of a scheduled one, the subject at which it appears.
    :param headers: those that the program gives.
    :param now: the time, as ``time.time()``.
    :raises MisuseError: an option is invalid.
    """
    made: dict[str, str] = {}
    for option, (header, read) in _HEADERS.items():
        value: Any = options.get(option)
        if value is not None:
            made[header] = read(option, value)
    ttl = options.get("ttl")
    if is_scheduled(options):
        made["Nats-Schedule"] = f"@at {_moment(options, now)}"
        made["Nats-Schedule-Target"] = subject
        if ttl is not None:
            made["Nats-Schedule-TTL"] = _ttl(ttl)
    elif options.get("schedule") is not None:
        raise MisuseError("schedule: it needs 'after' or 'at'")
    elif ttl is not None:
        made["Nats-TTL"] = _ttl(ttl)
    return {**all_values(headers or {}), **made} if made else headers


def _text(option: str, value: object) -> str:
    if not isinstance(value, str):
        raise MisuseError(f"{option}: it must be a string, not {type(value).__name__}")
    return value


def _sequence(option: str, value: object) -> str:
    if type(value) is not int or value < 0:
        raise MisuseError(f"{option}: {value!r} is not a sequence: a whole number of at least 0")
    return str(value)


_HEADERS: dict[str, tuple[str, Callable[[str, Any], str]]] = {
    "msg_id": (MESSAGE_ID, _text),
    "expected_stream": ("Nats-Expected-Stream", _text),
    "expected_last_sequence": ("Nats-Expected-Last-Sequence", _sequence),
    "expected_last_subject_sequence": ("Nats-Expected-Last-Subject-Sequence", _sequence),
    "expected_last_msg_id": ("Nats-Expected-Last-Msg-Id", _text),
}


def _seconds(option: str, value: object, minimum: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not minimum <= value <= _MAX_SECONDS:
        raise MisuseError(f"{option}: {value!r} is not a number of seconds of at least {minimum:g}")
    return float(value)


def _ttl(value: object) -> str:
    if value == "never":
        return "never"
    return f"{_seconds('ttl', value, 1) * 1000:.0f}ms"


def _moment(options: PublishOptions, now: Callable[[], float]) -> str:
    """When a message is to appear, as RFC 3339 has it."""
    after, at = options.get("after"), options.get("at")
    if after is not None:
        if at is not None:
            raise MisuseError("after: 'at' is given, too; leave one of them out")
        moment = datetime.fromtimestamp(now() + _seconds("after", after, 0), timezone.utc)
    elif isinstance(at, datetime):
        if at.tzinfo is None:
            raise MisuseError("at: the datetime has no time zone; give it one, such as datetime.timezone.utc")
        moment = at.astimezone(timezone.utc)
    else:
        moment = datetime.fromtimestamp(_seconds("at", at, 0), timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
