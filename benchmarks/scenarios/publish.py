"""
A peer publishes and does nothing else. After each 1,000 messages, or 4 MiB, it flushes: it waits until the server has
them. A run of natsroute counts only if natsroute has counted each message as confirmed.
"""

from __future__ import annotations

from benchmarks.run.scenario import Measure, Outcome, Scenario, both
from benchmarks.run.testbed import Testbed

_RATE = Measure(
    "published",
    "messages/s",
    goals=(*both("uniform", 1.6, 3.2, peer="nats-py"), *both("mixed", 1.0, 2.0, peer="nats-py")),
)


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    trouble = len(testbed.server.trouble)
    before = testbed.server.messages_taken
    job = testbed.job("publish", testbed.count_for(peer))
    with testbed.starting_peer(peer, job) as child:
        facts = child.next_report()
        taken = testbed.server.messages_taken_since(before, job.count)
    problems = [*facts.get("notes", ()), *testbed.server.trouble[trouble:]]
    for fact, number in {"the server has": taken, "confirmed": facts.get("confirmed", job.count)}.items():
        if number != job.count:
            problems.append(f"{fact}: {number:,} instead of {job.count:,}")
    return Outcome({_RATE.name: job.count / ((facts["at"] - facts["began"]) / 1e9)}, problems)


SCENARIO = Scenario(order=3, measures=(_RATE,), roles=("publish",), run=run)
