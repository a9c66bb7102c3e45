"""The cost of a message with 1 to 1,000 subscriptions on one connection. Each gets an equal part of the messages."""

from __future__ import annotations

from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.testbed import Testbed
from benchmarks.run.timing import costs

_POINTS = {f"{number:,} subscription{'s' if number > 1 else ''}": number for number in (1, 10, 100, 1_000)}


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    return costs(testbed, peer, "subscriptions", {name: {"subjects": number} for name, number in _POINTS.items()})


SCENARIO = Scenario(
    order=8,
    measures=tuple(Measure(name, "ns/message", higher_is_better=False) for name in _POINTS),
    roles=("subscriptions",),
    run=run,
    by_default=False,
)
