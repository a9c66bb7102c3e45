"""
What a message costs with more and more entries of ``subject_queue_group``, each with its part of the messages and a
connection of its own.
"""

from __future__ import annotations

from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.stage import Stage, costs

_POINTS = {f"{number} entr{'ies' if number > 1 else 'y'}": number for number in (1, 10, 100)}


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    return costs(stage, peer, "entries", {name: {"subjects": number} for name, number in _POINTS.items()})


SCENARIO = Scenario(9, tuple(Measure(name, "ns/message", False) for name in _POINTS), ("entries",), run, always=False)
