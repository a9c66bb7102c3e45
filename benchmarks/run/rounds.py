"""Runs scenarios in rounds: in each round, every peer runs once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers import Peer
from benchmarks.run.child import NoReportError
from benchmarks.run.processors import Processors
from benchmarks.run.results import Series
from benchmarks.run.scenario import GOAL_SIZE, Outcome, Scenario
from benchmarks.run.servers import NatsServer
from benchmarks.run.testbed import Testbed


@dataclass(frozen=True)
class Selection:
    """
    What to run.

    :ivar scenarios: by name, in the order in which they run.
    :ivar peers: by name, in the order of each round.
    :ivar missing: for each peer, what must be installed before it can run; empty if nothing.
    :ivar traffic: the kinds of traffic.
    :ivar sizes: bytes of the uniform payloads.
    :ivar messages: messages of one run.
    """

    scenarios: Mapping[str, Scenario]
    peers: Mapping[str, Peer]
    missing: Mapping[str, str]
    traffic: Sequence[str]
    sizes: Sequence[int]
    rounds: int
    messages: int
    processors: Processors

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """Each kind of traffic with each size; 0 for mixed traffic, which has its own sizes."""
        return [(traffic, size) for traffic in self.traffic for size in (self.sizes if traffic == "uniform" else [0])]

    def testbed(self, server: NatsServer, traffic: str, size: int) -> Testbed:
        """The testbed for one kind of messages."""
        return Testbed(server, self.peers, self.messages, size or GOAL_SIZE, traffic, self.processors)


def print_progress(text: str) -> None:
    """Print what has run so far, on standard error."""
    print(text, file=sys.stderr, flush=True)


def run(server: NatsServer, selection: Selection) -> Iterator[Series]:
    """Run the selection. Each scenario yields its series when its last round is over."""
    for name, scenario in selection.scenarios.items():
        for traffic, size in selection.kinds:
            if traffic not in scenario.traffic:
                continue
            testbed = selection.testbed(server, traffic, size)
            table = [
                Series(name, traffic, size, peer_name, absent=selection.missing[peer_name] or _refusal(peer, traffic))
                for peer_name, peer in selection.peers.items()
                if set(scenario.roles) <= set(peer.roles)
            ]
            _run_rounds(testbed, scenario, [series for series in table if not series.absent], selection.rounds)
            yield from table


def _refusal(peer: Peer, traffic: str) -> str:
    return f"no mixed traffic: {peer.refuses_mixed}" if traffic == "mixed" and peer.refuses_mixed else ""


def _run_rounds(testbed: Testbed, scenario: Scenario, table: list[Series], rounds: int) -> None:
    rounds = min(rounds, scenario.max_rounds)
    for number in range(1, rounds + 1):
        for series in table:
            outcome = _outcome(scenario, testbed, series.peer)
            if not outcome.problems:
                for measure, figure in outcome.figures.items():
                    series.figures.setdefault(measure, []).append(figure)
            series.problems += [f"round {number}: {problem}" for problem in outcome.problems]
            figures = ", ".join(f"{figure:,.0f}" for figure in outcome.figures.values())
            kind = f"{series.scenario}, {series.traffic} {series.size or ''}".strip()
            print_progress(f"{kind}, {number}/{rounds}, {series.peer}: {figures} {'; '.join(outcome.problems)}")


def _outcome(scenario: Scenario, testbed: Testbed, peer: str) -> Outcome:
    try:
        return scenario.run(testbed, peer)
    except (NoReportError, OSError) as error:
        return Outcome(problems=[str(error)])
