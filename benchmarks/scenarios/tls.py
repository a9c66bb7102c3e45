"""The cost of a message with and without TLS between the peer and the server. The feeder never uses TLS."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.run.processors import bound_to
from benchmarks.run.scenario import Measure, Outcome, Scenario, both
from benchmarks.run.servers import NatsServer
from benchmarks.run.testbed import Testbed
from benchmarks.run.timing import costs

_PLAIN = Measure("without TLS", "ns/message", higher_is_better=False)
_TLS = Measure(
    "with TLS",
    "ns/message",
    higher_is_better=False,
    goals=both("uniform", 1.9, 1.9, measure=_PLAIN.name),
)


def run(testbed: Testbed, peer: str) -> Outcome:
    """Run one peer once."""
    with bound_to(testbed.processors.others), NatsServer(tls=True) as server:
        points = {_PLAIN.name: {"ca_file": ""}, _TLS.name: {"ca_file": server.ca_file}}
        return costs(replace(testbed, server=server), peer, "consume", points)


SCENARIO = Scenario(order=10, measures=(_PLAIN, _TLS), roles=("consume", "tls"), run=run)
