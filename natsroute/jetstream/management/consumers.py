"""Consumers: what there is, and creating, changing and deleting them (NATS ADR-1 and the server's API)."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from typing import Any, Literal

import attrs

from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.checks import check_name, read
from natsroute.jetstream.management.configs import ConsumerConfig
from natsroute.wire.subjects import is_wildcard

#: What :func:`create_consumer` may do: create, change, or whichever of both is needed.
Action = Literal["create", "update", "create_or_update"]


@attrs.frozen(kw_only=True)
class ConsumerInfo:
    """
    A consumer, as it was when the server answered.

    :ivar stream: its stream.
    :ivar name: its name.
    :ivar num_pending: messages that it has not delivered yet.
    :ivar num_ack_pending: messages that were delivered and are not acknowledged.
    :ivar num_redelivered: those of them that were delivered more than once.
    :ivar num_waiting: pulls that wait for messages.
    :ivar delivered_sequence: sequence in the stream of the newest message that it has delivered.
    :ivar delivered_count: deliveries so far.
    :ivar ack_floor: sequence in the stream up to which all messages are acknowledged.
    :ivar is_push: whether it pushes messages to a subject; natsroute consumes by pulls only.
    :ivar paused: whether it is paused.
    :ivar created: when it was created, as the server writes it. A consumer that was deleted and created again has
        another moment here.
    :ivar cluster: its leader and replicas, as the server writes them; empty without a cluster.
    :ivar priority_groups: the state of its priority groups, as the server writes it.
    """

    stream: str
    name: str
    config: ConsumerConfig
    num_pending: int
    num_ack_pending: int
    num_redelivered: int
    num_waiting: int
    delivered_sequence: int
    delivered_count: int
    ack_floor: int
    is_push: bool
    paused: bool
    created: str
    cluster: Mapping[str, Any]
    priority_groups: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> ConsumerInfo:
        """Read an answer of the server."""
        config = ConsumerConfig.from_json(answer["config"])
        return cls(
            stream=str(answer["stream_name"]),
            name=str(answer["name"]),
            config=config,
            num_pending=int(answer.get("num_pending", 0)),
            num_ack_pending=int(answer.get("num_ack_pending", 0)),
            num_redelivered=int(answer.get("num_redelivered", 0)),
            num_waiting=int(answer.get("num_waiting", 0)),
            delivered_sequence=int(answer["delivered"]["stream_seq"]),
            delivered_count=int(answer["delivered"]["consumer_seq"]),
            ack_floor=int(answer["ack_floor"]["stream_seq"]),
            is_push=bool(config.deliver_subject),
            paused=bool(answer.get("paused", False)),
            created=str(answer["created"]),
            cluster=answer.get("cluster") or {},
            priority_groups=tuple(answer.get("priority_groups") or ()),
        )


async def consumer_info(api: JetStreamApi, stream: str, consumer: str) -> ConsumerInfo:
    """
    Look at a consumer.

    :raises StreamNotFoundError: there is no such stream.
    :raises ConsumerNotFoundError: there is no such consumer.
    :raises JetStreamError: as :meth:`JetStreamApi.call <natsroute.jetstream.api.JetStreamApi.call>` does.
    """
    return await _info(api, f"CONSUMER.INFO.{check_name(stream)}.{check_name(consumer)}")


async def create_consumer(
    api: JetStreamApi, stream: str, config: ConsumerConfig, *, action: Action = "create"
) -> ConsumerInfo:
    """
    Create a consumer, or change it. If there is one with the same configuration, nothing changes.

    A single filter without wildcards is a part of the request's subject, so that permissions can be granted for it
    (NATS ADR-1).

    :param config: without ``name`` and ``durable_name``, the consumer gets a name that is not in use.
    :raises ConsumerExistsError: there is one of this name with another configuration.
    :raises InvalidConfigError: the server refuses the configuration, or cannot change that of an existing consumer.
    :raises JetStreamLimitError: the stream or the account may have no more consumers.
    :raises JetStreamError: as :func:`consumer_info` does.
    """
    name = check_name(config.name or config.durable_name or token_hex(8))
    method = f"CONSUMER.CREATE.{check_name(stream)}.{name}"
    wanted = {**config.to_json(), "name": name}
    single = wanted.get("filter_subject", "")
    if single and not is_wildcard(single):  # a message cannot be published to a wildcard
        method += f".{single}"
    request = {"stream_name": stream, "config": wanted}
    if action != "create_or_update":
        request["action"] = action
    return await _info(api, method, request)


async def delete_consumer(api: JetStreamApi, stream: str, consumer: str) -> None:
    """
    Delete a consumer. The stream keeps its messages.

    :raises JetStreamError: as :func:`consumer_info` does.
    """
    await api.call(f"CONSUMER.DELETE.{check_name(stream)}.{check_name(consumer)}")


async def consumer_names(api: JetStreamApi, stream: str) -> list[str]:
    """The names of all consumers of a stream."""
    return await api.pages(f"CONSUMER.NAMES.{check_name(stream)}", "consumers")


async def _info(api: JetStreamApi, method: str, request: Mapping[str, Any] | None = None) -> ConsumerInfo:
    answer = await api.call(method, request)
    return read(api, method, answer, ConsumerInfo.from_json)
