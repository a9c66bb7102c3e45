"""Each message goes to a function that counts it."""

from __future__ import annotations

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.testbed import Testbed
from benchmarks.run.timing import rate

_RATE = Measure(
    "consumed",
    "messages/s",
    goals=(
        Goal("uniform", 4.0, peer="nats-py"),
        Goal("mixed", 3.0, peer="nats-py"),
        Goal("uniform", 1.0, peer="kamailio"),
        Goal("uniform", 0.9, peer="libnats"),
        Goal("mixed", 0.6, peer="libnats"),
    ),
)


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    return rate(testbed, peer, "consume", _RATE.name)


SCENARIO = Scenario(order=1, measures=(_RATE,), roles=("consume",), run=run)
