"""Messages into a function that counts them."""

from __future__ import annotations

from benchmarks.stage import Measure, Outcome, Stage, timed_run

MEASURES = (Measure("consume", "messages/s", goal=2.0),)


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    return timed_run(stage, peer, "consume", MEASURES[0])
