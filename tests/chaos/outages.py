"""When nats-server is killed and for how long it stays away. The same seed gives the same plan."""

from __future__ import annotations

import random

import attrs

#: Seconds that a start of nats-server is assumed to take.
START = 0.2


@attrs.frozen
class Outage:
    """
    One SIGKILL of nats-server.

    :ivar at: seconds after the beginning of the run.
    :ivar duration: seconds until nats-server is started again.
    """

    at: float
    duration: float


def plan_outages(seed: int, count: int, uptime: tuple[float, float]) -> list[Outage]:
    """
    Plan that number of outages.

    :param uptime: seconds that nats-server runs between two of them: the minimum and the maximum.
    """
    chance = random.Random(seed)
    outages, now = [], 0.0
    for _ in range(count):
        outages.append(Outage(now + chance.uniform(*uptime), chance.uniform(0.02, 0.5)))
        now = outages[-1].at + outages[-1].duration + START
    return outages
