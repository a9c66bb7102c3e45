"""
The values of ``jetstream_stream``, ``jetstream_consumer`` and ``jetstream_replay``: a name, and behind ``=>`` options,
as Kamailio's ``htable`` has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import attrs

from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import SettingError, SubjectError
from natsroute.jetstream.management.configs import (
    DISCARDS,
    PRIORITY_POLICIES,
    RETENTIONS,
    STORAGES,
    ConsumerConfig,
    DeliverPolicy,
    StreamConfig,
)
from natsroute.jetstream.times import parse_time
from natsroute.nearest import did_you_mean
from natsroute.wire.subjects import check_pattern, check_subject

#: Reads the value of an option; raises :class:`ValueError` with what it must be.
Reader = Callable[[str], Any]

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SIZES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_INT32 = (1 << 31) - 1
_MAX_SECONDS = 9_000_000_000.0  # the server has 63 bits for nanoseconds


def _seconds(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(|ms|s|m|h|d)", text)
    if found is None or (seconds := float(found[1]) * _UNITS[found[2]]) > _MAX_SECONDS:
        raise ValueError("a time such as 30, 500ms, 5m, 12h or 7d")
    return seconds


def _positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise ValueError("a time above 0, such as 30, 500ms, 5m, 12h or 7d")
    return seconds


def _waits(text: str) -> tuple[float, ...]:
    if not text.split():
        raise ValueError("times with spaces between them, such as 1 5 30")
    return tuple(_positive_seconds(part) for part in text.split())


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,18}|-1)(|KiB|MiB|GiB|TiB)", text)
    if found is None or (found[1] == "-1" and found[2]) or (size := int(found[1]) * _SIZES[found[2]]) >= 1 << 63:
        raise ValueError("a number of bytes, such as 4096 or 10GiB")
    return size


def _count(minimum: int, maximum: int = 10**15) -> Reader:
    def read(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not minimum <= int(text) <= maximum:
            raise ValueError(f"a number from {minimum} to {maximum}")
        return int(text)

    return read


def _choice(choices: tuple[str, ...]) -> Reader:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return read


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


def _subjects(text: str) -> tuple[str, ...]:
    subjects = tuple(text.split())
    for subject in subjects:
        check_pattern(subject)
    if not subjects:
        raise ValueError("subjects with spaces between them, such as calls.> cdr.*")
    return subjects


def _name(text: str) -> str:
    check_subject(text)
    if re.search(r"[./\\*>]", text):
        raise ValueError("a name without the characters . * > / \\")
    return text


_STREAM_OPTIONS: dict[str, tuple[str, Reader]] = {
    "subjects": ("subjects", _subjects),
    "storage": ("storage", _choice(STORAGES)),
    "replicas": ("num_replicas", _count(1, 5)),
    "retention": ("retention", _choice(RETENTIONS)),
    "discard": ("discard", _choice(DISCARDS)),
    "max_age": ("max_age", _seconds),
    "max_msgs": ("max_msgs", _count(-1)),
    "max_bytes": ("max_bytes", _size),
    "max_msg_size": ("max_msg_size", _count(-1, _INT32)),
    "max_msgs_per_subject": ("max_msgs_per_subject", _count(-1)),
    "duplicate_window": ("duplicate_window", _positive_seconds),
    "allow_direct": ("allow_direct", _flag),
    "allow_msg_ttl": ("allow_msg_ttl", _flag),
    "allow_atomic": ("allow_atomic", _flag),
    "allow_msg_schedules": ("allow_msg_schedules", _flag),
}

_CONSUMER_OPTIONS: dict[str, tuple[str, Reader]] = {
    "filter_subjects": ("filter_subjects", _subjects),
    "ack_wait": ("ack_wait", _positive_seconds),
    "backoff": ("backoff", _waits),
    "max_deliver": ("max_deliver", _count(-1)),
    "max_ack_pending": ("max_ack_pending", _count(-1)),
    "max_waiting": ("max_waiting", _count(1, _INT32)),
    "deliver_policy": ("deliver_policy", _choice(("all", "new", "last", "last_per_subject"))),
    "inactive_threshold": ("inactive_threshold", _positive_seconds),
    "replicas": ("num_replicas", _count(0, 5)),
    "priority_policy": ("priority_policy", _choice(PRIORITY_POLICIES)),
    "priority_groups": ("priority_groups", lambda text: tuple(_name(name) for name in text.split())),
    "priority_timeout": ("priority_timeout", _positive_seconds),
}

#: The options of a consumer that are sent with each pull. The server does not keep them.
_PULL_OPTIONS: dict[str, tuple[str, Reader]] = {
    "batch": ("batch", _count(1)),
    "group": ("group", _name),
    "min_pending": ("min_pending", _count(0)),
    "min_ack_pending": ("min_ack_pending", _count(0)),
    "priority": ("priority", _count(0, 9)),
}


def _from(text: str) -> dict[str, Any]:
    """Where a replay begins, as attributes of :class:`ReplayEntry`."""
    if text in ("all", "new", "last", "last_per_subject"):
        return {"policy": text}
    if re.fullmatch(r"[1-9][0-9]{0,17}", text):
        return {"policy": "by_start_sequence", "sequence": int(text)}
    try:
        return {"policy": "by_start_time", "time": parse_time(text)}
    except ValueError:
        raise ValueError(
            "all, new, last, last_per_subject, a sequence, or a time such as 2026-11-26T08:00:00Z"
        ) from None


_REPLAY_OPTIONS: dict[str, tuple[str, Reader]] = {
    "from": ("from", _from),
    "filter_subjects": ("filter_subjects", _subjects),
}


@attrs.frozen
class StreamEntry:
    """
    One ``jetstream_stream``.

    :ivar config: what the entry gives. The server has the rest.
    """

    config: StreamConfig

    @classmethod
    def parse(cls, text: str) -> StreamEntry:
        """
        Read ``NAME=>option=value;option=value``.

        :raises SettingError: it is malformed, or an option is unknown.
        """
        reading = _Reading("jetstream_stream", text, "Write NAME=>subjects=SUBJECT;OPTION=VALUE")
        name, options = reading.parts()
        values = reading.values(options, _STREAM_OPTIONS)
        return cls(StreamConfig(name=reading.name(name), **values))

    def __str__(self) -> str:
        return self.config.name


@attrs.frozen
class ConsumerEntry:
    """
    One ``jetstream_consumer``.

    :ivar stream: the name of the stream.
    :ivar durable: the name of the consumer.
    :ivar config: what the entry gives. The server has the rest.
    :ivar pull: what is asked for with each pull, by the names of
        :class:`~natsroute.jetstream.consuming.pull_options.PullOptions`, where the entry gives it.
    """

    stream: str
    durable: str
    config: ConsumerConfig = attrs.field()
    pull: Mapping[str, Any] = attrs.field(factory=dict)

    @config.default
    def _explicit(self) -> ConsumerConfig:
        return ConsumerConfig(durable_name=self.durable, ack_policy="explicit")

    @classmethod
    def parse(cls, text: str) -> ConsumerEntry:
        """
        Read ``STREAM:DURABLE``, or ``STREAM:DURABLE=>option=value;option=value``.

        :raises SettingError: it is malformed, or an option is unknown.
        """
        reading = _Reading("jetstream_consumer", text, "Write STREAM:DURABLE, or STREAM:DURABLE=>OPTION=VALUE")
        names, options = reading.parts()
        stream, colon, durable = names.partition(":")
        if not colon:
            reading.fail("there is no colon between the stream and the consumer")
        values = reading.values(options, {**_CONSUMER_OPTIONS, **_PULL_OPTIONS})
        pull = {name: values.pop(name) for name in _PULL_OPTIONS if name in values}
        if "backoff" in values:
            if "ack_wait" in values:
                reading.fail("backoff replaces ack_wait, and both are given", "Leave ack_wait out")
            if 0 < values.get("max_deliver", -1) <= len(values["backoff"]):
                reading.fail("backoff has as many waits as max_deliver or more", "Raise max_deliver")
        if values.get("deliver_policy") == "last_per_subject" and "filter_subjects" not in values:
            reading.fail("last_per_subject needs filter_subjects", "Give filter_subjects too; > means all")
        name = reading.name(durable)
        config = ConsumerConfig(durable_name=name, ack_policy="explicit", **values)
        return cls(reading.name(stream), name, config, pull)

    @property
    def subject(self) -> str:
        """What the subjects of its messages match: the server knows more."""
        return ">"

    @property
    def queue_group(self) -> None:
        """There is none: whoever pulls from the consumer shares its messages."""
        return None

    @property
    def event_name(self) -> str:
        """What follows ``nats:`` in the name of its events, where no event route names them."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.stream}:{self.durable}"


@attrs.frozen
class ReplayEntry:
    """
    One ``jetstream_replay``.

    :ivar stream: the name of the stream.
    :ivar policy: where to begin; see :class:`~natsroute.jetstream.consuming.ephemeral_consumers.Start`.
    :ivar sequence: the first sequence, with ``by_start_sequence``.
    :ivar time: the first moment, with ``by_start_time``, in nanoseconds since 1970 (UTC).
    :ivar filter_subjects: only messages of these subjects; empty: all.
    """

    stream: str
    policy: DeliverPolicy = "all"
    sequence: int | None = None
    time: int | None = None
    filter_subjects: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> ReplayEntry:
        """
        Read ``STREAM``, or ``STREAM=>from=SEQUENCE``.

        :raises SettingError: it is malformed, or an option is unknown.
        """
        reading = _Reading("jetstream_replay", text, "Write STREAM, or STREAM=>from=SEQUENCE")
        name, options = reading.parts()
        values = reading.values(options, _REPLAY_OPTIONS)
        return cls(reading.name(name), **values.pop("from", {}), **values)

    @property
    def subject(self) -> str:
        """What the subjects of its messages match: the server knows more."""
        return ">"

    @property
    def queue_group(self) -> None:
        """There is none: each replay has all messages."""
        return None

    @property
    def event_name(self) -> str:
        """What follows ``nats:`` in the name of its events, where no event route names them."""
        return str(self)

    def __str__(self) -> str:
        return f"replay:{self.stream}"


#: What messages are consumed by: a subject, a consumer of a stream, a stream that is replayed, or a key-value bucket.
AnyEntry = QueueEntry | ConsumerEntry | ReplayEntry | KeyValueEntry


@attrs.frozen
class _Reading:
    """
    Reads one entry.

    :ivar setting: the setting that it is a value of.
    :ivar text: the whole entry.
    :ivar remedy: how to write one.
    """

    setting: str
    text: str
    remedy: str

    def fail(self, problem: str, remedy: str = "") -> NoReturn:
        """Refuse it."""
        raise SettingError(self.setting, self.text, problem, remedy or self.remedy)

    def parts(self) -> tuple[str, str]:
        """What is before the arrow, and what is behind it."""
        name, _, options = self.text.partition("=>")
        return name.strip(), options

    def name(self, text: str) -> str:
        """The name of a stream or consumer."""
        try:
            return _name(text)
        except (SubjectError, ValueError):
            self.fail(f"{text!r} is not a name: it is empty, or has a space or one of . * > / \\")

    def values(self, options: str, known: Mapping[str, tuple[str, Reader]]) -> dict[str, Any]:
        """The options by the server's names."""
        found: dict[str, Any] = {}
        for option in options.split(";"):
            if not option.strip():
                continue
            name, equals, value = (part.strip() for part in option.partition("="))
            if not equals:
                self.fail(f"the option {option.strip()!r} has no value")
            if name not in known:
                options_are = f"Options are: {', '.join(known)}"
                self.fail(f"there is no option {name!r}", did_you_mean(name, known, options_are, prefix=""))
            key, reader = known[name]
            if key in found:
                self.fail(f"the option {name} is given twice", "Leave one of them out")
            try:
                found[key] = reader(value)
            except SubjectError as error:
                self.fail(f"{name}: {error}")
            except ValueError as error:
                self.fail(f"{name} is {value!r}, which is not {error}", f"Give {error}")
        return found
