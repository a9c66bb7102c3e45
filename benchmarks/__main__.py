"""
``python -m benchmarks``: natsroute and nats-py side by side, in turns, on this machine and one nats-server.

It needs ``pip install '.[dev]'``, takes a minute or two and prints a Markdown table. The exit code is 1 if a run lost
messages or a goal was missed.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from benchmarks.order import check_order
from benchmarks.peers import PEERS
from benchmarks.report import head, machine, row
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import NatsServer
from benchmarks.stage import NothingSaidError, Outcome, Stage


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, 21), metavar="1..20", help="default: 5")
    parser.add_argument("--messages", type=int, default=200_000, help="messages of a run; default: 200,000")
    parser.add_argument("--size", type=int, default=128, help="bytes of a payload; default: 128")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS)
    return parser.parse_args()


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _run_scenario(stage: Stage, name: str, peers: list[str], rounds: int) -> tuple[list[str], list[str]]:
    """The rows of a scenario, and what was wrong."""
    scenario = import_module(f"benchmarks.scenarios.{name}")
    outcomes: dict[str, list[Outcome]] = {peer: [] for peer in peers}
    complaints = []
    for number in range(1, rounds + 1):
        for peer in peers:
            try:
                outcome = scenario.run(stage, peer)
            except NothingSaidError as error:
                outcome = Outcome(complaints=[str(error)])
            figures = ", ".join(f"{figure:,.0f}" for figure in outcome.figures.values())
            _progress(f"{name} {number}/{rounds} {peer}: {figures} {'; '.join(outcome.complaints)}")
            complaints += [f"{name}, round {number}, {peer}: {complaint}" for complaint in outcome.complaints]
            outcomes[peer].append(outcome)
    rows = []
    for measure in scenario.MEASURES:
        valid = {
            peer: [outcome.figures[measure.name] for outcome in runs if not outcome.complaints]
            for peer, runs in outcomes.items()
        }
        rows.append(row(measure, valid))
    return rows, complaints


def main() -> int:
    """Run it all."""
    arguments = _arguments()
    peers: list[str] = arguments.peers
    about = machine()
    rows: list[str] = []
    complaints: list[str] = []
    with NatsServer() as server:
        stage = Stage(server, arguments.messages, arguments.size)
        alone = arguments.messages / stage.feed(stage.job("feed"))
        for name in arguments.scenarios:
            new_rows, new_complaints = _run_scenario(stage, name, peers, arguments.rounds)
            rows += new_rows
            complaints += new_complaints
        checks = [check_order(stage, peer) for peer in peers] if "relay" in arguments.scenarios else []
    print(f"{about}\n")
    print(
        f"{arguments.messages:,} messages of {arguments.size} bytes, {arguments.rounds} rounds in turns; medians, in "
        f"brackets the lowest and the highest round. The feeder with nobody subscribed: {alone:,.0f} messages/s.\n"
    )
    print(head(peers), *rows, sep="\n")
    if checks:
        print("\nThe relay, seen by an independent subscriber:\n", *(f"- {text}" for text, _ in checks), sep="\n")
    if complaints:
        print("\nRuns that do not count:\n", *(f"- {complaint}" for complaint in complaints), sep="\n")
    failed = complaints or any("MISSED" in line for line in rows) or not all(fine for _, fine in checks)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
