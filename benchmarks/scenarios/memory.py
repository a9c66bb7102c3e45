"""
Resident memory before any message, after 100,000, and at the end, which is after 5 million, or 50 times ``--messages``
if that is less. The messages come 100,000 at a time, and the next when those have been handled.
"""

from __future__ import annotations

from benchmarks.run.processes import resident_bytes
from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.stage import Stage

_AT_REST = Measure("at rest", "MiB", more_is_better=False)
_EARLY = Measure("after 100,000 messages", "MiB", more_is_better=False)
_END = Measure("at the end", "MiB", more_is_better=False)
_GROWTH = Measure(
    "from 100,000 to 5 million",
    "MiB",
    more_is_better=False,
    goals=(Goal("uniform", 4.0), Goal("mixed", 8.0)),
)

_STEP = 100_000
_TIMES = 50
_FIVE_MILLION = 5_000_000
_PATIENCE = 3_600.0


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    step = min(_STEP, stage.count)
    total = min(_FIVE_MILLION, stage.count * _TIMES) * stage.peers[peer].share
    steps = max(2, round(total / step))
    # One step more than will come: a peer that has all of its messages ends.
    job = stage.job("consume", (steps + 1) * step, step=step, patience=_PATIENCE)
    with stage.peer(peer, job) as child:
        memory = [resident_bytes(child.pid)]
        received = 0
        for number in range(steps):
            stage.feed(stage.job("feed", step, first=number * step))
            received = child.next_facts()["received"]
            memory.append(resident_bytes(child.pid))
    mebibytes = [size / (1024 * 1024) for size in memory]
    figures = {_AT_REST.name: mebibytes[0], _END.name: mebibytes[-1]}
    if step == _STEP:
        figures[_EARLY.name] = mebibytes[1]
        if received >= _FIVE_MILLION:
            figures[_GROWTH.name] = mebibytes[-1] - mebibytes[1]
    if received != steps * step:
        return Outcome(complaints=[f"received: {received:,} instead of {steps * step:,}"])
    return Outcome(figures)


SCENARIO = Scenario(6, (_AT_REST, _EARLY, _END, _GROWTH), ("consume", "step"), run, always=False, most_rounds=1)
