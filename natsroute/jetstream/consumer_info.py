"""What the server says of a consumer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

_NANOSECONDS = 1_000_000_000


@attrs.frozen
class ConsumerInfo:
    """
    The configuration of a consumer and where it stands, from an answer of ``CONSUMER.INFO``.

    :ivar ack_policy: ``explicit``, ``all`` or ``none``.
    :ivar ack_wait: seconds after which a message that is not acknowledged is delivered again; 0 if there are no
        acknowledgements.
    :ivar max_deliver: how often a message is delivered at most; None if there is no limit.
    :ivar backoff: seconds before each redelivery, instead of ``ack_wait``; the last one repeats.
    :ivar max_ack_pending: messages that may be delivered and not acknowledged; None if there is no limit.
    :ivar max_batch: messages that one pull may ask for; None if there is no limit. The same for ``max_expires`` in
        seconds and ``max_bytes``.
    :ivar is_push: whether it delivers to a subject of its own, instead of to those that pull.
    :ivar priority_policy: ``none``, ``overflow``, ``pinned_client`` or ``prioritized`` (NATS ADR-42).
    :ivar priority_groups: the groups of that policy.
    :ivar pending: messages that it has not delivered yet.
    :ivar ack_pending: messages that were delivered and not acknowledged.
    :ivar redelivered: messages that were delivered again and are not acknowledged.
    :ivar ack_floor: the sequence in the stream up to which all messages are acknowledged.
    :ivar leader: the server that leads it, in a cluster.
    :ivar config: the configuration with the names that the server gives it.
    """

    ack_policy: str
    ack_wait: float
    max_deliver: int | None
    backoff: tuple[float, ...]
    max_ack_pending: int | None
    max_batch: int | None
    max_expires: float | None
    max_bytes: int | None
    is_push: bool
    priority_policy: str
    priority_groups: tuple[str, ...]
    pending: int
    ack_pending: int
    redelivered: int
    ack_floor: int
    leader: str
    config: Mapping[str, Any]

    @property
    def shortest_wait(self) -> float:
        """Seconds that a message may go without acknowledgement before it is delivered again; 0 if it never is."""
        return min((self.ack_wait, *self.backoff)) if self.ack_policy != "none" else 0.0


def consumer_info(answer: Mapping[str, Any]) -> ConsumerInfo:
    """
    Read an answer of ``CONSUMER.INFO``. Fields that are missing or of another type count as not set.

    :param answer: the JSON object of the answer.
    """
    config = answer.get("config")
    config = config if isinstance(config, Mapping) else {}
    floor, cluster = answer.get("ack_floor"), answer.get("cluster")
    backoff, groups = config.get("backoff"), config.get("priority_groups")
    return ConsumerInfo(
        ack_policy=str(config.get("ack_policy", "explicit")),
        ack_wait=_number(config, "ack_wait") / _NANOSECONDS,
        max_deliver=_limit(config, "max_deliver"),
        backoff=tuple(_seconds(wait) for wait in backoff) if isinstance(backoff, list) else (),
        max_ack_pending=_limit(config, "max_ack_pending"),
        max_batch=_limit(config, "max_batch"),
        max_expires=None if (limit := _limit(config, "max_expires")) is None else limit / _NANOSECONDS,
        max_bytes=_limit(config, "max_bytes"),
        is_push=bool(config.get("deliver_subject")),
        priority_policy=str(config.get("priority_policy", "none")),
        priority_groups=tuple(map(str, groups)) if isinstance(groups, list) else (),
        pending=_number(answer, "num_pending"),
        ack_pending=_number(answer, "num_ack_pending"),
        redelivered=_number(answer, "num_redelivered"),
        ack_floor=_number(floor, "stream_seq") if isinstance(floor, Mapping) else 0,
        leader=str(cluster.get("leader", "")) if isinstance(cluster, Mapping) else "",
        config=config,
    )


def _number(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) else 0


def _limit(fields: Mapping[str, Any], name: str) -> int | None:
    """The server writes 0 or -1 for "no limit"."""
    value = _number(fields, name)
    return value if value > 0 else None


def _seconds(nanoseconds: object) -> float:
    return nanoseconds / _NANOSECONDS if isinstance(nanoseconds, int) else 0.0
