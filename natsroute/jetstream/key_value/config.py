"""The configuration of a key-value bucket, which is that of its stream (NATS ADR-8)."""

from __future__ import annotations

import attrs

from natsroute.jetstream.errors import BucketConfigError
from natsroute.jetstream.management.configs import Storage, StreamConfig
from natsroute.jetstream.management.streams import StreamInfo
from natsroute.wire.key_value import STREAMS, check_bucket, stream_of, subject_of

#: The most revisions of a key that a bucket may keep.
MAX_HISTORY = 64
_DUPLICATE_WINDOW = 120.0


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
    storage: Storage = "file"
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

    def stream(self, bucket: str) -> StreamConfig:
        """The configuration of the stream of a bucket."""
        return StreamConfig(
            name=stream_of(check_bucket(bucket)),
            subjects=(subject_of(bucket, ">"),),
            description=self.description,
            storage=self.storage,
            num_replicas=self.replicas,
            max_consumers=-1,
            max_msgs=-1,
            max_bytes=self.max_bytes,
            max_age=self.ttl or 0.0,
            max_msgs_per_subject=self.history,
            max_msg_size=self.max_value_size,
            discard="new",
            duplicate_window=min(self.ttl or _DUPLICATE_WINDOW, _DUPLICATE_WINDOW),
            compression="s2" if self.compression else "none",
            allow_direct=True,
            allow_rollup_hdrs=True,
            deny_delete=True,
            allow_msg_ttl=True,
            subject_delete_marker_ttl=self.limit_marker_ttl,
        )


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
    :ivar stream: the configuration of its stream.
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
    stream: StreamConfig = attrs.field(repr=False)

    @classmethod
    def of(cls, info: StreamInfo) -> BucketStatus:
        """The status of the bucket whose stream the server describes."""
        config = info.config
        return cls(
            bucket=config.name.removeprefix(STREAMS),
            values=info.messages,
            bytes=info.bytes,
            history=config.max_msgs_per_subject or 1,
            ttl=config.max_age or None,
            limit_marker_ttl=config.subject_delete_marker_ttl or None,
            storage=config.storage or "file",
            replicas=config.num_replicas or 1,
            is_compressed=config.compression not in (None, "", "none"),
            allows_ttl=bool(config.allow_msg_ttl),
            allows_direct=bool(config.allow_direct),
            is_mirror=bool(config.more.get("mirror")),
            stream=config,
        )
