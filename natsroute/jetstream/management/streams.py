"""Streams: what there is, and creating, changing, purging and deleting them (NATS ADR-1 and the server's API)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.checks import check_name, read
from natsroute.jetstream.management.configs import StreamConfig


@attrs.frozen(kw_only=True)
class StreamInfo:
    """
    A stream, as it was when the server answered.

    :ivar messages: messages that it has.
    :ivar bytes: bytes that they need, with subjects and headers.
    :ivar first_sequence: sequence of the oldest message; of the next one if there is none.
    :ivar last_sequence: sequence of the newest message so far, which may have been removed; 0 if there was none.
    :ivar consumers: number of its consumers.
    :ivar created: when it was created, as the server writes it.
    :ivar cluster: its leader and replicas, as the server writes them; empty without a cluster.
    """

    config: StreamConfig
    messages: int
    bytes: int
    first_sequence: int
    last_sequence: int
    consumers: int
    created: str
    cluster: Mapping[str, Any]

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> StreamInfo:
        """Read an answer of the server."""
        state = answer["state"]
        return cls(
            config=StreamConfig.from_json(answer["config"]),
            messages=int(state["messages"]),
            bytes=int(state["bytes"]),
            first_sequence=int(state["first_seq"]),
            last_sequence=int(state["last_seq"]),
            consumers=int(state["consumer_count"]),
            created=str(answer["created"]),
            cluster=answer.get("cluster") or {},
        )


async def stream_info(api: JetStreamApi, stream: str) -> StreamInfo:
    """
    Look at a stream.

    :raises StreamNotFoundError: there is none of this name.
    :raises JetStreamError: as :meth:`JetStreamApi.call <natsroute.jetstream.api.JetStreamApi.call>` does.
    """
    return await _info(api, f"STREAM.INFO.{check_name(stream)}")


async def create_stream(api: JetStreamApi, config: StreamConfig) -> StreamInfo:
    """
    Create a stream. If there is one with the same configuration, nothing changes.

    :raises StreamExistsError: there is one of this name with another configuration, or one with such a subject.
    :raises InvalidConfigError: the server refuses the configuration.
    :raises JetStreamError: as :func:`stream_info` does.
    """
    return await _info(api, f"STREAM.CREATE.{check_name(config.name)}", config.to_json())


async def update_stream(api: JetStreamApi, config: StreamConfig) -> StreamInfo:
    """
    Change a stream. What the configuration does not give gets the server's default: begin with that of
    :func:`stream_info`.

    :raises InvalidConfigError: something cannot be changed, such as the storage.
    :raises JetStreamError: as :func:`stream_info` does.
    """
    return await _info(api, f"STREAM.UPDATE.{check_name(config.name)}", config.to_json())


async def delete_stream(api: JetStreamApi, stream: str) -> None:
    """
    Delete a stream, its messages and its consumers.

    :raises JetStreamError: as :func:`stream_info` does.
    """
    await api.call(f"STREAM.DELETE.{check_name(stream)}")


async def purge_stream(
    api: JetStreamApi, stream: str, *, subject: str | None = None, before: int | None = None, keep: int | None = None
) -> int:
    """
    Remove messages from a stream.

    :param subject: only those of this subject, which may have wildcards.
    :param before: only those with a lower sequence.
    :param keep: all but this many of the newest; not together with ``before``.
    :return: how many were removed.
    :raises JetStreamError: as :func:`stream_info` does.
    """
    wanted = {"filter": subject, "seq": before, "keep": keep}
    request = {name: value for name, value in wanted.items() if value is not None}
    method = f"STREAM.PURGE.{check_name(stream)}"
    answer = await api.call(method, request)
    return read(api, method, answer, lambda answer: int(answer["purged"]))


async def stream_names(api: JetStreamApi, subject: str | None = None) -> list[str]:
    """
    The names of all streams.

    :param subject: only those with a subject that this pattern overlaps.
    """
    return await api.pages("STREAM.NAMES", "streams", None if subject is None else {"subject": subject})


async def stream_subjects(api: JetStreamApi, stream: str, pattern: str = ">") -> dict[str, int]:
    """The subjects of which a stream has messages, and how many of each."""
    found: dict[str, int] = {}
    method = f"STREAM.INFO.{check_name(stream)}"
    while True:
        answer = await api.call(method, {"subjects_filter": pattern, "offset": len(found)})
        page = read(api, method, answer, lambda answer: dict(answer["state"].get("subjects") or {}))
        found.update(page)
        if not page or len(found) >= int(answer.get("total", 0)):
            return found


async def _info(api: JetStreamApi, method: str, request: Mapping[str, Any] | None = None) -> StreamInfo:
    answer = await api.call(method, request)
    return read(api, method, answer, StreamInfo.from_json)
