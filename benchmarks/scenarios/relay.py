"""
Messages into a function that publishes them again. natsroute's clock stops when the server has confirmed each message,
a peer's that knows no confirmation when a last flush has come back.
"""

from __future__ import annotations

from benchmarks.stage import Measure, Outcome, Stage, timed_run

MEASURES = (Measure("relay", "messages/s", goal=2.0),)


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    return timed_run(stage, peer, "relay", MEASURES[0])
