"""
Resident memory before any message, after 100,000 messages, and at the end: after 5 million messages, or after 50 times
``--messages`` if that is less. The feeder sends 100,000 messages at a time, and waits until the peer has handled them.
"""

from __future__ import annotations

from benchmarks.peers.process_tree import resident_bytes
from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.testbed import Testbed

_AT_REST = Measure("at rest", "MiB", higher_is_better=False)
_EARLY = Measure("after 100,000 messages", "MiB", higher_is_better=False)
_END = Measure("at the end", "MiB", higher_is_better=False)
_GROWTH = Measure(
    "growth from 100,000 to 5 million messages",
    "MiB",
    higher_is_better=False,
    goals=(Goal("uniform", 4.0), Goal("mixed", 8.0)),
)

_STEP = 100_000
_STEPS = 50
_FIVE_MILLION = 5_000_000
_TIMEOUT = 3_600.0  # seconds


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    step = min(_STEP, testbed.count)
    total = min(_FIVE_MILLION, testbed.count * _STEPS) * testbed.peers[peer].fraction
    steps = max(2, round(total / step))
    # The job has one step more than the feeder sends, because a peer ends after the last message of its job.
    job = testbed.job("consume", (steps + 1) * step, step=step, timeout=_TIMEOUT)
    with testbed.peer(peer, job) as child:
        memory = [resident_bytes(child.pid)]
        received = 0
        for number in range(steps):
            testbed.feed(testbed.job("feed", step, first=number * step))
            received = child.next_report()["received"]
            memory.append(resident_bytes(child.pid))
    mebibytes = [size / (1024 * 1024) for size in memory]
    figures = {_AT_REST.name: mebibytes[0], _END.name: mebibytes[-1]}
    if step == _STEP:
        figures[_EARLY.name] = mebibytes[1]
        if received >= _FIVE_MILLION:
            figures[_GROWTH.name] = mebibytes[-1] - mebibytes[1]
    if received != steps * step:
        return Outcome(problems=[f"received: {received:,} instead of {steps * step:,}"])
    return Outcome(figures)


SCENARIO = Scenario(
    order=6,
    measures=(_AT_REST, _EARLY, _END, _GROWTH),
    roles=("consume", "step"),
    run=run,
    by_default=False,
    max_rounds=1,
)
