"""The configuration of a key-value bucket, which is that of its stream (NATS ADR-8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from natsroute.jetstream.errors import BucketConfigError
from natsroute.jetstream.key_value_names import STREAMS, check_bucket, stream_of, subject_of

#: The most revisions of a key that a bucket may keep.
MAX_HISTORY = 64
_DUPLICATE_WINDOW = 120.0
_NANOSECONDS = 1_000_000_000
#: What the server leaves out.
_ABSENT: dict[str, Any] = {"compression": "none", "description": "", "subject_delete_marker_ttl": 0, "max_age": 0}


@attrs.frozen(kw_only=True)
class BucketConfig:
    """
    How a bucket is created.

    :ivar history: how many revisions of each key are kept, up to 64.
    :ivar ttl: seconds that each entry is kept; None for ever.
    :ivar limit_marker_ttl: seconds that a mark is kept which the server makes when an entry expires, so that a watch
        learns of it; None for no marks. At least 1.
    :ivar max_bytes: the size of the bucket; -1 for no limit.
    :ivar max_value_size: bytes of a value; -1 for no limit.
    :ivar storage: ``"file"`` or ``"memory"``.
    :ivar replicas: how many servers of a cluster keep it: 1, 3 or 5.
    :ivar description: a text for people.
    :ivar compression: whether files are compressed.
    """

    history: int = 1
    ttl: float | None = None
    limit_marker_ttl: float | None = None
    max_bytes: int = -1
    max_value_size: int = -1
    storage: Literal["file", "memory"] = "file"
    replicas: int = 1
    description: str = ""
    compression: bool = False

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.history <= MAX_HISTORY:
            raise BucketConfigError(f"history = {self.history!r}: a bucket keeps 1 to {MAX_HISTORY} revisions of a key")
        for name in ("ttl", "limit_marker_ttl"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise BucketConfigError(f"{name} = {seconds!r}: it must be a number of seconds above 0")

    def stream(self, bucket: str) -> dict[str, Any]:
        """The configuration of the stream of a bucket, as the server wants it."""
        window = min(self.ttl, _DUPLICATE_WINDOW) if self.ttl else _DUPLICATE_WINDOW
        stream: dict[str, Any] = {
            "name": stream_of(check_bucket(bucket)),
            "subjects": [subject_of(bucket, ">")],
            "max_msgs_per_subject": self.history,
            "max_age": _nanoseconds(self.ttl),
            "max_bytes": self.max_bytes,
            "max_msg_size": self.max_value_size,
            "max_msgs": -1,
            "max_consumers": -1,
            "discard": "new",
            "duplicate_window": _nanoseconds(window),
            "storage": self.storage,
            "num_replicas": self.replicas,
            "allow_direct": True,
            "allow_rollup_hdrs": True,
            "allow_msg_ttl": True,
            "deny_delete": True,
        }
        if self.description:
            stream["description"] = self.description
        if self.compression:
            stream["compression"] = "s2"
        if self.limit_marker_ttl is not None:
            stream["subject_delete_marker_ttl"] = _nanoseconds(self.limit_marker_ttl)
        return stream

    def differences(self, bucket: str, stream: Mapping[str, Any]) -> list[str]:
        """
        What is different in a bucket that is there already, each as a phrase.

        :param stream: the configuration of its stream, as the server gives it.
        """
        wanted = {"compression": "none", "description": "", "subject_delete_marker_ttl": 0, **self.stream(bucket)}
        return [
            f"{name} is {stream.get(name)!r} and not {value!r}"
            for name, value in wanted.items()
            if stream.get(name, _ABSENT.get(name)) != value and not (name == "subjects" and stream.get("mirror"))
        ]


@attrs.frozen
class BucketStatus:
    """
    What the server says of a bucket.

    :ivar bucket: the bucket.
    :ivar values: the number of entries, with those of the history and the marks of deleted keys.
    :ivar bytes: what they take.
    :ivar history: how many revisions of a key are kept.
    :ivar ttl: seconds that an entry is kept; None for ever.
    :ivar limit_marker_ttl: see :class:`BucketConfig`.
    :ivar storage: ``"file"`` or ``"memory"``.
    :ivar replicas: how many servers keep it.
    :ivar is_compressed: whether its files are compressed.
    :ivar allows_ttl: whether entries may have a TTL of their own.
    :ivar allows_direct: whether each server that has the bucket answers a ``get``, and not its leader alone.
    :ivar is_mirror: whether it is a copy of another bucket.
    :ivar stream: the configuration of its stream, as the server gives it.
    """

    bucket: str
    values: int
    bytes: int
    history: int
    ttl: float | None
    limit_marker_ttl: float | None
    storage: str
    replicas: int
    is_compressed: bool
    allows_ttl: bool
    allows_direct: bool
    is_mirror: bool
    stream: Mapping[str, Any] = attrs.field(repr=False)

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> BucketStatus:
        """The status of the bucket whose stream the server describes."""
        config, state = info.get("config", {}), info.get("state", {})
        return cls(
            bucket=str(config.get("name", "")).removeprefix(STREAMS),
            values=int(state.get("messages", 0)),
            bytes=int(state.get("bytes", 0)),
            history=int(config.get("max_msgs_per_subject", 1)),
            ttl=_seconds(config.get("max_age")),
            limit_marker_ttl=_seconds(config.get("subject_delete_marker_ttl")),
            storage=str(config.get("storage", "")),
            replicas=int(config.get("num_replicas", 1)),
            is_compressed=config.get("compression", "none") not in ("", "none"),
            allows_ttl=bool(config.get("allow_msg_ttl")),
            allows_direct=bool(config.get("allow_direct")),
            is_mirror=bool(config.get("mirror")),
            stream=config,
        )


def _nanoseconds(seconds: float | None) -> int:
    return 0 if seconds is None else round(seconds * _NANOSECONDS)


def _seconds(nanoseconds: Any) -> float | None:
    return nanoseconds / _NANOSECONDS if nanoseconds else None
