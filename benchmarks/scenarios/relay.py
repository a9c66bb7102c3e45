"""
Each message goes to a function that publishes its payload again. natsroute's time ends when the server has confirmed
each message. The other peers have no confirmations: their time ends with a flush after the last message, and Kamailio's
when both its publish workers have published a message that follows the last one.
"""

from __future__ import annotations

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario, both
from benchmarks.run.testbed import Testbed
from benchmarks.run.timing import rate

_RATE = Measure(
    "relayed",
    "messages/s",
    goals=(
        *both("uniform", 2.9, 6.0, peer="nats-py"),
        *both("mixed", 1.8, 4.0, peer="nats-py"),
        *both("uniform", None, 1.0, peer="libnats"),
        *both("mixed", None, 0.95, peer="libnats"),
        *both("uniform", 2.5, 5.0, peer="kamailio"),
        Goal("uniform", 30.0, peer="faststream"),
        Goal("mixed", 25.0, peer="faststream"),
    ),
)


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    return rate(testbed, peer, "relay", _RATE.name)


SCENARIO = Scenario(order=2, measures=(_RATE,), roles=("relay",), run=run)
