"""Messages into a function that counts them."""

from __future__ import annotations

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.stage import Stage, rate

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


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    return rate(stage, peer, "consume", _RATE.name)


SCENARIO = Scenario(1, (_RATE,), ("consume",), run)
