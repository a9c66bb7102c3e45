"""
A durable pull consumer: each message goes to a function that counts it, and is acknowledged. The stream has all
messages before the peer connects. The time goes from the peer's connection to the last message; a run counts only if
the server then says that each message was delivered once and acknowledged.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.run.processors import bound_to
from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario, both
from benchmarks.run.servers import NatsServer
from benchmarks.run.streams import Stream
from benchmarks.run.testbed import Testbed

_RATE = Measure(
    "acknowledged",
    "messages/s",
    goals=(Goal("uniform", 3.0, peer="nats-py"), *both("uniform", 1.5, 2.0, peer="natsio")),
)


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    with bound_to(testbed.processors.others), NatsServer(jetstream=True) as server, Stream(server.url) as stream:
        job = replace(testbed, server=server).job("jetstream_consume", testbed.count_for(peer))
        size = stream.fill(job)
        stream.add_consumer()
        with testbed.starting_peer(peer, job) as child:
            facts = child.next_report()
            problems = [*facts["notes"], *stream.problems(job.count), *server.trouble]
    for fact, number in {"received": job.count, "bytes": size}.items():
        if facts[fact] != number:
            problems.append(f"{fact}: {facts[fact]:,} instead of {number:,}")
    return Outcome({_RATE.name: job.count / ((facts["at"] - facts["began"]) / 1e9)}, problems)


SCENARIO = Scenario(order=14, measures=(_RATE,), roles=("jetstream_consume",), run=run)
