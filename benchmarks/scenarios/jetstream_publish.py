"""
A peer publishes into a stream, and gets the acknowledgement of each message. Many are on their way at the same time: as
many as the peer allows by default. A run counts only if the peer has the acknowledgements, and the stream the messages.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.run.processors import bound_to
from benchmarks.run.scenario import Goal, Measure, Outcome, Scenario
from benchmarks.run.servers import NatsServer
from benchmarks.run.streams import Stream
from benchmarks.run.testbed import Testbed

_RATE = Measure(
    "acknowledged",
    "messages/s",
    goals=(Goal("uniform", 2.0, peer="nats-py"), Goal("uniform", 1.5, peer="natsio")),
)


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    with bound_to(testbed.processors.others), NatsServer(jetstream=True) as server, Stream(server.url) as stream:
        job = replace(testbed, server=server).job("jetstream_publish", testbed.count_for(peer))
        with testbed.starting_peer(peer, job) as child:
            facts = child.next_report()
        problems = [*facts["notes"], *server.trouble]
        for fact, number in {"the stream has": stream.messages, "acknowledged": facts["acknowledged"]}.items():
            if number != job.count:
                problems.append(f"{fact}: {number:,} instead of {job.count:,}")
    return Outcome({_RATE.name: job.count / ((facts["at"] - facts["began"]) / 1e9)}, problems)


SCENARIO = Scenario(order=15, measures=(_RATE,), roles=("jetstream_publish",), run=run)
