"""Scenarios, played by each peer in turn, again and again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers import Peer
from benchmarks.report.results import Series
from benchmarks.run.catalogue import PEERS, SCENARIOS
from benchmarks.run.processors import Processors
from benchmarks.run.scenario import GOAL_SIZE, Outcome, Scenario
from benchmarks.run.servers import NatsServer
from benchmarks.run.stage import NothingSaidError, Stage


@dataclass(frozen=True)
class Selection:
    """
    What is to be run.

    :ivar missing: for each peer why it cannot be run here, or nothing.
    :ivar sizes: bytes of the payloads of uniform traffic.
    """

    scenarios: Sequence[str]
    missing: Mapping[str, str]
    traffic: Sequence[str]
    sizes: Sequence[int]
    rounds: int
    messages: int
    processors: Processors

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """Each traffic with each size; mixed traffic has sizes of its own."""
        return [(traffic, size) for traffic in self.traffic for size in (self.sizes if traffic == "uniform" else [0])]

    def stage(self, server: NatsServer, traffic: str, size: int) -> Stage:
        """The stage for one kind of messages."""
        return Stage(server, PEERS, self.messages, size or GOAL_SIZE, traffic, self.processors)


def progress(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(text, file=sys.stderr, flush=True)


def play(server: NatsServer, selection: Selection) -> Iterator[Series]:
    """Run all that is selected."""
    for name in selection.scenarios:
        for traffic, size in selection.kinds:
            stage = selection.stage(server, traffic, size)
            table = [
                Series(name, traffic, size, peer, absent=missing or _refusal(PEERS[peer], traffic))
                for peer, missing in selection.missing.items()
                if missing or set(SCENARIOS[name].roles) <= set(PEERS[peer].roles)
            ]
            _play_one(stage, name, [series for series in table if not series.absent], selection.rounds)
            yield from table


def _refusal(peer: Peer, traffic: str) -> str:
    return f"no mixed traffic: {peer.refuses_mixed}" if traffic == "mixed" and peer.refuses_mixed else ""


def _play_one(stage: Stage, name: str, table: list[Series], rounds: int) -> None:
    scenario = SCENARIOS[name]
    rounds = min(rounds, scenario.most_rounds)
    for number in range(1, rounds + 1):
        for series in table:
            outcome = _outcome(scenario, stage, series.peer)
            if not outcome.complaints:
                for measure, figure in outcome.figures.items():
                    series.figures.setdefault(measure, []).append(figure)
            series.complaints += [f"round {number}: {complaint}" for complaint in outcome.complaints]
            figures = ", ".join(f"{figure:,.0f}" for figure in outcome.figures.values())
            kind = f"{name}, {series.traffic} {series.size or ''}".strip()
            progress(f"{kind}, {number}/{rounds}, {series.peer}: {figures} {'; '.join(outcome.complaints)}")


def _outcome(scenario: Scenario, stage: Stage, peer: str) -> Outcome:
    try:
        return scenario.run(stage, peer)
    except (NothingSaidError, OSError) as error:
        return Outcome(complaints=[str(error)])
