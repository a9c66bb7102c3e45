"""The time from the start of a peer's process until its function gets the first message."""

from __future__ import annotations

from time import monotonic, perf_counter_ns

from benchmarks.load.traffic import command, messages
from benchmarks.run.child import TIMEOUT
from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.testbed import Testbed
from tests.support.plain_client import PlainClient

_TIME = Measure("time to first message", "ms", higher_is_better=False)

_INTERVAL = 0.002  # seconds between two messages; the first that the peer receives counts


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    job = testbed.job("consume", 1)
    message = command(next(messages(job)))
    client = PlainClient(testbed.server.url)
    began, deadline = perf_counter_ns(), monotonic() + TIMEOUT
    with testbed.starting_peer(peer, job) as child:
        reports: list[dict[str, int]] = []
        while not any("at" in facts for facts in reports) and monotonic() < deadline:
            client.write(message)
            reports += child.reports_within(_INTERVAL)
    client.close()
    first = [facts["at"] for facts in reports if "at" in facts]
    # A Python program starts the peers that are not written in Python; its own start does not count.
    began = max([began, *(facts.get("began", 0) for facts in reports)])
    if not first:
        return Outcome(problems=[f"no message in {TIMEOUT:.0f} s"])
    return Outcome({_TIME.name: (first[0] - began) / 1e6})


SCENARIO = Scenario(order=5, measures=(_TIME,), roles=("consume",), run=run, by_default=False)
