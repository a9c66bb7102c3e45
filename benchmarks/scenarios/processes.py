"""
One and two processes in the same queue group, each consuming what the server gives it. All processes of this scenario
share all processors, or the second would have nothing to run on where a peer's part is one.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from time import monotonic, sleep

from benchmarks.load.job import REPORT_SUBJECT
from benchmarks.load.raw import RawClient
from benchmarks.run.processors import Processors
from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.stage import PATIENCE, Stage

_POINTS = {"1 process": 1, "2 processes": 2}

_EVERY = 0.02  # seconds between the questions whether all has come


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    stage = replace(stage, processors=Processors.shared())
    outcome = Outcome()
    for name, number in _POINTS.items():
        seconds, received, count = _run(stage, peer, number)
        outcome.figures[name] = count / seconds
        if received != count:
            outcome.complaints.append(f"{name}: {received:,} received instead of {count:,}")
    return outcome


def _run(stage: Stage, peer: str, processes: int) -> tuple[float, int, int]:
    """Seconds, messages received, and messages sent."""
    job = stage.job("share", stage.count_for(peer))
    with ExitStack() as stack:
        children = [stack.enter_context(stage.peer(peer, job)) for _ in range(processes)]
        started = stage.feed(job)["started"]
        client = RawClient(stage.server.url)
        received, last, give_up = 0, started, monotonic() + PATIENCE
        while received < job.count and monotonic() < give_up:
            sleep(_EVERY)
            client.write(b"PUB %b 0\r\n\r\n" % REPORT_SUBJECT.encode())
            told = [child.next_facts() for child in children]
            received, last = sum(facts["received"] for facts in told), max(facts["at"] for facts in told)
        client.close()
    return (last - started) / 1e9, received, job.count


SCENARIO = Scenario(11, tuple(Measure(name, "messages/s") for name in _POINTS), ("share",), run, always=False)
