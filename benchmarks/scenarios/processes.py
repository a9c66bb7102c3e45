"""
One and two processes of a peer consume in the same queue group. natsroute-processes starts them with ``--processes``,
the other peers are started once or twice. All processes of this scenario share all processors: where the peer's half is
one processor, two processes could not run at the same time.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from time import monotonic, sleep

from benchmarks.load.job import REPORT_SUBJECT
from benchmarks.run.child import TIMEOUT
from benchmarks.run.processors import Processors
from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.testbed import Testbed
from tests.support.plain_client import PlainClient

_POINTS = {"1 process": 1, "2 processes": 2}

_INTERVAL = 0.02  # seconds between two queries for the number of received messages


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    testbed = replace(testbed, processors=Processors.shared())
    outcome = Outcome()
    for name, number in _POINTS.items():
        seconds, received, count = _run(testbed, peer, number)
        outcome.figures[name] = count / seconds
        if received != count:
            outcome.problems.append(f"{name}: {received:,} received instead of {count:,}")
    return outcome


def _run(testbed: Testbed, peer: str, processes: int) -> tuple[float, int, int]:
    """Run a number of processes once; return the seconds, the messages received and the messages sent."""
    supervises = testbed.peers[peer].supervises
    job = testbed.job("share", testbed.count_for(peer), processes=processes if supervises else 1)
    with ExitStack() as stack:
        children = [stack.enter_context(testbed.peer(peer, job)) for _ in range(1 if supervises else processes)]
        started = testbed.feed(job)["started"]
        client = PlainClient(testbed.server.url)
        received, last, deadline = 0, started, monotonic() + TIMEOUT
        while received < job.count and monotonic() < deadline:
            sleep(_INTERVAL)
            client.write(b"PUB %b 0\r\n\r\n" % REPORT_SUBJECT.encode())
            reports = [child.next_report() for child in children]
            received = sum(facts["received"] for facts in reports)
            last = max(facts["at"] for facts in reports)
        client.close()
    return (last - started) / 1e9, received, job.count


SCENARIO = Scenario(
    order=11,
    measures=tuple(Measure(name, "messages/s") for name in _POINTS),
    roles=("share",),
    run=run,
    by_default=False,
)
