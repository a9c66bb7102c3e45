"""
What a message costs with more and more event routes. Uniform traffic has one route of its own; mixed traffic has one
wildcard, and from 1,000 routes on one for each of its subjects. The others, every tenth of them a wildcard, are for
subjects to which nothing is published.
"""

from __future__ import annotations

from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.stage import Stage, costs

_POINTS = {f"{number:,} route{'s' if number > 1 else ''}": number for number in (1, 10, 100, 1_000, 10_000)}
_FIRST, *_, _LAST = _POINTS
_GOALS = (Goal("uniform", 1.15, measure=_FIRST), Goal("mixed", 1.3, measure=_FIRST))


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    return costs(stage, peer, "consume", {name: {"routes": number} for name, number in _POINTS.items()})


SCENARIO = Scenario(
    7,
    tuple(Measure(name, "ns/message", False, _GOALS if name == _LAST else ()) for name in _POINTS),
    ("consume", "routes"),
    run,
)
