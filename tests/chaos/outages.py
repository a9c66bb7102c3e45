"""When nats-server is killed, and for how long: the same for every run with the same seed."""

from __future__ import annotations

import random

import attrs

#: Seconds that a start of nats-server is reckoned to take.
START = 0.2


@attrs.frozen
class Outage:
    """
    One SIGKILL of nats-server.

    :ivar at: seconds after the beginning of the run.
    :ivar lasts: seconds until it is started again.
    """

    at: float
    lasts: float


def plan(seed: int, count: int, up: tuple[float, float]) -> list[Outage]:
    """
    So many outages.

    :param up: seconds that nats-server runs between two of them, at least and at most.
    """
    chance = random.Random(seed)
    outages, now = [], 0.0
    for _ in range(count):
        outages.append(Outage(now + chance.uniform(*up), chance.uniform(0.02, 0.5)))
        now = outages[-1].at + outages[-1].lasts + START
    return outages
