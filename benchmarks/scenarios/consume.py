"""Each message goes to a function that counts it."""

from __future__ import annotations

from benchmarks.run.scenario import Measure, Outcome, Scenario, both
from benchmarks.run.testbed import Testbed
from benchmarks.run.timing import rate

_RATE = Measure(
    "consumed",
    "messages/s",
    goals=(
        *both("uniform", 4.5, 6.0, peer="nats-py"),
        *both("mixed", 2.4, 4.0, peer="nats-py"),
        *both("uniform", 0.9, 1.1, peer="libnats"),
        *both("mixed", 0.7, 1.1, peer="libnats"),
        *both("uniform", 1.0, 1.5, peer="kamailio"),
        *both("uniform", None, 0.85, peer="raw"),
        *both("mixed", None, 0.85, peer="raw"),
    ),
)


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    return rate(testbed, peer, "consume", _RATE.name)


SCENARIO = Scenario(order=1, measures=(_RATE,), roles=("consume",), run=run)
