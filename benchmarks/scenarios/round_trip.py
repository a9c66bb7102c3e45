"""One request at a time, asked by the same program, answered by each peer."""

from __future__ import annotations

from statistics import median, quantiles

from benchmarks.stage import Measure, Outcome, Stage

MEASURES = (
    Measure("round trip, median", "µs", goal=1.0, more_is_better=False),
    Measure("round trip, 99th percentile", "µs", more_is_better=False),
)
REQUESTS = 2_000


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    with (
        stage.peer(peer, stage.job("respond", patience=300.0)),
        stage.program("asker", stage.job("ask", count=REQUESTS)) as asker,
    ):
        facts = asker.next_facts()
    times = [nanoseconds / 1e3 for nanoseconds in facts["nanoseconds"]]
    figures = {MEASURES[0].name: median(times), MEASURES[1].name: quantiles(times, n=100)[98]}
    return Outcome(figures, [f"{facts['wrong']} wrong answers"] if facts["wrong"] else [])
