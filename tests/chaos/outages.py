"""When nats-server is killed and for how long it stays away. The same seed gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterable

import attrs

#: Seconds that a start of nats-server is assumed to take.
START = 0.2

#: Seconds that nats-server runs, at most, between two kills in quick succession. A publisher has just reconnected by
#: then, or not yet, and what it sends again is within its resend window.
MAX_QUICK_UPTIME = 0.4


@attrs.frozen
class Outage:
    """
    One SIGKILL of nats-server.

    :ivar uptime: seconds that nats-server runs before it.
    :ivar duration: seconds until nats-server is started again.
    """

    uptime: float
    duration: float


def plan_outages(seed: int, count: int, uptime: tuple[float, float], kills: int = 1) -> list[Outage]:
    """
    Plan that number of rounds.

    :param uptime: seconds that nats-server runs between two rounds: the minimum and the maximum.
    :param kills: the kills of each round, in quick succession.
    """
    chance = random.Random(seed)
    return [
        Outage(chance.uniform(*((0.0, MAX_QUICK_UPTIME) if kill else uptime)), chance.uniform(0.02, 0.5))
        for _ in range(count)
        for kill in range(kills)
    ]


def seconds_of(outages: Iterable[Outage]) -> float:
    """Seconds that a plan takes, about."""
    return sum(outage.uptime + outage.duration + START for outage in outages)
