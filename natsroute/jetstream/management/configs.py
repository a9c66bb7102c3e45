"""
The configurations of streams and consumers (the server's ``StreamConfig`` and ``ConsumerConfig``), and how two differ.

The attributes have the names that the server gives them. Durations are in seconds here, and in nanoseconds in JSON. An
attribute that is None was not given: the server chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar, cast, get_args

import attrs

from natsroute.jetstream.times import to_nanoseconds, to_seconds

Retention = Literal["limits", "interest", "workqueue"]
RETENTIONS: tuple[Retention, ...] = get_args(Retention)
Storage = Literal["file", "memory"]
STORAGES: tuple[Storage, ...] = get_args(Storage)
Discard = Literal["old", "new"]
DISCARDS: tuple[Discard, ...] = get_args(Discard)
AckPolicy = Literal["explicit", "all", "none"]
ACK_POLICIES: tuple[AckPolicy, ...] = get_args(AckPolicy)
DeliverPolicy = Literal["all", "last", "new", "by_start_sequence", "by_start_time", "last_per_subject"]
DELIVER_POLICIES: tuple[DeliverPolicy, ...] = get_args(DeliverPolicy)
PriorityPolicy = Literal["none", "overflow", "pinned_client", "prioritized"]
PRIORITY_POLICIES: tuple[PriorityPolicy, ...] = get_args(PriorityPolicy)

_Config = TypeVar("_Config", bound="Config")

#: What begins the keys of metadata that the server adds by itself.
_OF_SERVER = "_nats."


def duration() -> Any:
    """A field that is a number of seconds, and nanoseconds in JSON."""
    return attrs.field(default=None, metadata={"duration": True})


@attrs.frozen(kw_only=True)
class Difference:
    """
    One thing that is not as it should be.

    :ivar name: the name of the attribute.
    :ivar ours: what it should be, as in the configuration.
    :ivar theirs: what the server has; None if it has nothing.
    """

    name: str
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return f"{self.name} is {_shown(self.theirs)} at the server, and {_shown(self.ours)} in the settings"


@attrs.frozen(kw_only=True)
class Config:
    """
    What the configurations have in common.

    :ivar metadata: texts of the user by key; without those that the server adds.
    :ivar more: what the server knows and natsroute does not, by the server's name, as in JSON.
    """

    metadata: Mapping[str, str] | None = None
    more: Mapping[str, Any] = attrs.field(factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that the server reads; without what was not given."""
        found = dict(self.more)
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if value is None or field.name == "more":
                continue
            if field.metadata.get("duration"):
                value = [*map(to_nanoseconds, value)] if isinstance(value, tuple) else to_nanoseconds(value)
            elif isinstance(value, tuple):
                value = list(value)
            found[field.name] = value
        return found

    @classmethod
    def from_json(cls: type[_Config], found: Mapping[str, Any]) -> _Config:
        """Read the JSON object that the server writes."""
        more = dict(found)
        values: dict[str, Any] = {}
        for field in attrs.fields(cast(Any, cls)):
            if field.name == "more" or more.get(field.name) is None:
                continue
            value = more.pop(field.name)
            if field.metadata.get("duration"):
                value = tuple(map(to_seconds, value)) if isinstance(value, list) else to_seconds(value)
            elif isinstance(value, list):
                value = tuple(value)
            values[field.name] = value
        if "metadata" in values:
            values["metadata"] = {
                key: value for key, value in values["metadata"].items() if not key.startswith(_OF_SERVER)
            } or None
        return cls(**values, more=more)

    def differences(self: _Config, theirs: _Config) -> list[Difference]:
        """What this configuration gives, and another one has otherwise. What this one does not give does not differ."""
        return [
            Difference(name=name, ours=ours, theirs=other)
            for name, ours, other in self._given(theirs)
            if _comparable(ours) != _comparable(other)
        ]

    def over(self: _Config, theirs: _Config) -> _Config:
        """Another configuration with what this one gives: what an update is to send."""
        given = {field.name: getattr(self, field.name) for field in attrs.fields(type(self)) if field.name != "more"}
        changes = {name: value for name, value in given.items() if value is not None}
        return attrs.evolve(theirs, **changes, more={**theirs.more, **self.more})

    def _given(self: _Config, theirs: _Config) -> Iterator[tuple[str, Any, Any]]:
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if value is not None and field.name != "more":
                yield field.name, value, getattr(theirs, field.name)
        for name, value in self.more.items():
            yield name, value, theirs.more.get(name)


@attrs.frozen(kw_only=True)
class StreamConfig(Config):
    """
    The configuration of a stream.

    :ivar subjects: what it stores: subjects, which may have wildcards.
    :ivar retention: when messages go: ``limits`` (when there are too many, or they are too old), ``interest`` (when all
        consumers have acknowledged them), ``workqueue`` (when one has).
    :ivar max_msgs: messages it may have; -1: no limit.
    :ivar max_bytes: bytes it may have; -1: no limit.
    :ivar max_age: seconds that it keeps a message; 0: no limit.
    :ivar max_msgs_per_subject: messages it may have of one subject; -1: no limit.
    :ivar max_msg_size: bytes that one message may have, headers included; -1: no limit.
    :ivar discard: what goes when it is full: ``old`` messages, or the ``new`` one, which is refused.
    :ivar duplicate_window: seconds in which a second message with the same ``Nats-Msg-Id`` is not stored.
    :ivar num_replicas: servers of a cluster that keep it.
    :ivar allow_direct: whether all of them answer requests for single messages.
    :ivar allow_rollup_hdrs: whether a message may replace all before it.
    """

    name: str
    subjects: tuple[str, ...] | None = None
    description: str | None = None
    retention: Retention | None = None
    storage: Storage | None = None
    num_replicas: int | None = None
    max_consumers: int | None = None
    max_msgs: int | None = None
    max_bytes: int | None = None
    max_age: float | None = duration()
    max_msgs_per_subject: int | None = None
    max_msg_size: int | None = None
    discard: Discard | None = None
    discard_new_per_subject: bool | None = None
    duplicate_window: float | None = duration()
    compression: str | None = None
    allow_direct: bool | None = None
    allow_rollup_hdrs: bool | None = None
    deny_delete: bool | None = None
    deny_purge: bool | None = None
    sealed: bool | None = None
    allow_msg_ttl: bool | None = None
    subject_delete_marker_ttl: float | None = duration()
    allow_atomic: bool | None = None
    allow_msg_schedules: bool | None = None


@attrs.frozen(kw_only=True)
class ConsumerConfig(Config):
    """
    The configuration of a consumer.

    :ivar name: its name; None lets natsroute make one up.
    :ivar durable_name: the same, of a consumer that lives until it is deleted.
    :ivar filter_subjects: which messages of the stream it has; None or empty: all.
    :ivar deliver_policy: where it begins.
    :ivar opt_start_seq: the first sequence, with ``by_start_sequence``.
    :ivar opt_start_time: the first moment, with ``by_start_time``, as in RFC 3339.
    :ivar ack_wait: seconds until a message that is not acknowledged is delivered again. With a ``backoff``, the server
        uses that instead, and says its first wait here.
    :ivar max_deliver: deliveries of one message; -1: no limit.
    :ivar backoff: seconds to wait before each further delivery of a message that is not acknowledged.
    :ivar max_ack_pending: messages that may wait for their acknowledgement, all clients together; -1: no limit.
    :ivar max_waiting: pulls that may wait.
    :ivar inactive_threshold: seconds without a pull after which the consumer is deleted.
    :ivar headers_only: whether messages come without their payloads.
    :ivar mem_storage: whether its state is in memory only.
    :ivar num_replicas: servers of a cluster that keep its state; 0: as its stream.
    """

    name: str | None = None
    durable_name: str | None = None
    description: str | None = None
    deliver_policy: DeliverPolicy | None = None
    opt_start_seq: int | None = None
    opt_start_time: str | None = None
    ack_policy: AckPolicy | None = None
    ack_wait: float | None = duration()
    max_deliver: int | None = None
    backoff: tuple[float, ...] | None = duration()
    filter_subjects: tuple[str, ...] | None = None
    replay_policy: str | None = None
    max_ack_pending: int | None = None
    max_waiting: int | None = None
    max_batch: int | None = None
    max_expires: float | None = duration()
    max_bytes: int | None = None
    inactive_threshold: float | None = duration()
    headers_only: bool | None = None
    mem_storage: bool | None = None
    num_replicas: int | None = None
    priority_groups: tuple[str, ...] | None = None
    priority_policy: PriorityPolicy | None = None
    priority_timeout: float | None = duration()
    deliver_subject: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON object that the server reads. A single filter has a name of its own there."""
        found = super().to_json()
        filters = found.pop("filter_subjects", None)
        if filters and len(filters) == 1:
            found["filter_subject"] = filters[0]
        elif filters:
            found["filter_subjects"] = filters
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> ConsumerConfig:
        """Read the JSON object that the server writes."""
        single = found.get("filter_subject")
        rest = {name: value for name, value in found.items() if name != "filter_subject"}
        return super().from_json({**rest, "filter_subjects": [single]} if single else rest)


def _comparable(value: Any) -> Any:
    """The order of subjects means nothing, and the server leaves out what is empty, zero or false."""
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        value = tuple(sorted(value))
    return value or None


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return ",".join(map(_shown, value)) or "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)
