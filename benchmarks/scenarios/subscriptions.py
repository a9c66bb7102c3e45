"""What a message costs with more and more subscriptions on one connection, each with its part of the messages."""

from __future__ import annotations

from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.stage import Stage, costs

_POINTS = {f"{number:,} subscription{'s' if number > 1 else ''}": number for number in (1, 10, 100, 1_000)}


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    return costs(stage, peer, "subscriptions", {name: {"subjects": number} for name, number in _POINTS.items()})


SCENARIO = Scenario(
    8, tuple(Measure(name, "ns/message", False) for name in _POINTS), ("subscriptions",), run, always=False
)
