"""
The cost of a message with 1 to 100 entries of ``subject_queue_group``. Each entry has a connection of its own and gets
an equal part of the messages.
"""

from __future__ import annotations

from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.testbed import Testbed
from benchmarks.run.timing import costs

_POINTS = {f"{number} entr{'ies' if number > 1 else 'y'}": number for number in (1, 10, 100)}


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    return costs(testbed, peer, "entries", {name: {"subjects": number} for name, number in _POINTS.items()})


SCENARIO = Scenario(
    order=9,
    measures=tuple(Measure(name, "ns/message", higher_is_better=False) for name in _POINTS),
    roles=("entries",),
    run=run,
    by_default=False,
)
