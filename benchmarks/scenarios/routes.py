"""
The cost of a message with 1 to 10,000 event routes.

Uniform traffic has one route. Mixed traffic has one wildcard route, and from 1,000 routes on a route for each of its
subjects. The other routes, one in ten of them a wildcard, get no messages.
"""

from __future__ import annotations

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.testbed import Testbed
from benchmarks.run.timing import costs

_POINTS = {f"{number:,} route{'s' if number > 1 else ''}": number for number in (1, 10, 100, 1_000, 10_000)}
_FIRST, *_, _LAST = _POINTS
_GOALS = (Goal("uniform", 1.15, measure=_FIRST), Goal("mixed", 1.3, measure=_FIRST))


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    return costs(testbed, peer, "consume", {name: {"routes": number} for name, number in _POINTS.items()})


SCENARIO = Scenario(
    order=7,
    measures=tuple(
        Measure(name, "ns/message", higher_is_better=False, goals=_GOALS if name == _LAST else ()) for name in _POINTS
    ),
    roles=("consume", "routes"),
    run=run,
)
