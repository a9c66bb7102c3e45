"""What a message costs a peer that speaks TLS with the server, and one that does not. The feeder never does."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.run.processors import bound_to
from benchmarks.run.scenario import Measure, Outcome, Scenario
from benchmarks.run.servers import NatsServer
from benchmarks.run.stage import Stage, costs

_PLAIN = Measure("without TLS", "ns/message", more_is_better=False)
_TLS = Measure("with TLS", "ns/message", more_is_better=False)


def run(stage: Stage, peer: str) -> Outcome:
    """One peer, once."""
    with bound_to(stage.processors.stage), NatsServer(tls=True) as server:
        points = {_PLAIN.name: {"ca_file": ""}, _TLS.name: {"ca_file": server.ca_file}}
        return costs(replace(stage, server=server), peer, "consume", points)


SCENARIO = Scenario(10, (_PLAIN, _TLS), ("consume", "tls"), run, always=False)
