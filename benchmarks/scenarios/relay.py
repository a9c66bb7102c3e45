"""
Messages into a function that publishes them again. natsroute's clock stops when the server has confirmed each message,
that of a peer that knows no confirmation when a last flush has come back.
"""

from __future__ import annotations

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.stage import Stage, rate

_RATE = Measure(
    "relayed",
    "messages/s",
    goals=(
        Goal("uniform", 3.0, peer="nats-py"),
        Goal("mixed", 2.5, peer="nats-py"),
        Goal("uniform", 2.5, peer="kamailio"),
        Goal("uniform", 30.0, peer="faststream"),
        Goal("mixed", 25.0, peer="faststream"),
    ),
)


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    return rate(stage, peer, "relay", _RATE.name)


SCENARIO = Scenario(2, (_RATE,), ("relay",), run)
