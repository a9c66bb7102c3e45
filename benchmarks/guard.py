"""
``python -m benchmarks.guard`` fails if natsroute has become slower compared with nats-py. It takes a minute.

It compares ratios of medians with the ratios in ``guard.json``, never seconds with seconds. If a ratio is lower by more
than a quarter, it is measured again with more rounds; if it is still that low, the exit code is 1. ``--update`` writes
the measured ratios to ``guard.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.catalogue import PEERS, SCENARIOS
from benchmarks.load.traffic import SUBJECTS
from benchmarks.peers import OURS
from benchmarks.run.machine import machine
from benchmarks.run.processors import Processors, bound_to
from benchmarks.run.results import Series
from benchmarks.run.rounds import Selection, print_progress, run
from benchmarks.run.scenario import GOAL_SIZE
from benchmarks.run.servers import NatsServer

_FILE = Path(__file__).with_suffix(".json")
_PEER = "nats-py"
_SCENARIOS = ("consume", "relay", "publish")
_ROUNDS, _MORE_ROUNDS = 5, 9
_MESSAGES = 60_000
_MIN_PART = 0.75  # of the ratio in the file

#: A scenario and a kind of traffic.
Case = tuple[str, str]


def _measure(server: NatsServer, cases: Iterable[Case], rounds: int) -> dict[Case, float]:
    """Measure the ratio of each case."""
    ratios = {}
    for scenario, traffic in cases:
        selection = Selection(
            scenarios={scenario: SCENARIOS[scenario]},
            peers={name: PEERS[name] for name in (OURS, _PEER)},
            missing={OURS: "", _PEER: ""},
            traffic=[traffic],
            sizes=[GOAL_SIZE],
            rounds=rounds,
            messages=_MESSAGES,
            processors=Processors.divided(),
        )
        ours, theirs = run(server, selection)
        ratios[scenario, traffic] = _ratio(ours, theirs, SCENARIOS[scenario].measures[0].name)
    return ratios


def _ratio(ours: Series, theirs: Series, measure: str) -> float:
    mine, others = ours.median(measure), theirs.median(measure)
    if mine is None or others is None:
        raise SystemExit(f"{ours.scenario}, {ours.traffic}: no round counts: {ours.problems + theirs.problems}")
    return mine / others


def _name(case: Case) -> str:
    return ", ".join(case)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and compare with the file or update it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__.split("\n\n")[0])
    parser.add_argument("--update", action="store_true", help=f"write the measured ratios to {_FILE.name}")
    arguments = parser.parse_args(words)
    cases = [(scenario, traffic) for scenario in _SCENARIOS for traffic in SUBJECTS]
    processors = Processors.divided()
    with bound_to(processors.others), NatsServer() as server:
        found = _measure(server, cases, _MORE_ROUNDS if arguments.update else _ROUNDS)
        if arguments.update:
            ratios = {_name(case): round(ratio, 2) for case, ratio in found.items()}
            _FILE.write_text(json.dumps({"about": machine(), "ratios": ratios}, indent=1) + "\n", encoding="utf-8")
            print(f"{_FILE.name}: {ratios}")
            return 0
        kept: dict[str, float] = json.loads(_FILE.read_text(encoding="utf-8"))["ratios"]
        fallen = [case for case in cases if found[case] < _MIN_PART * kept[_name(case)]]
        if fallen:
            print_progress(f"measuring again: {'; '.join(map(_name, fallen))}")
            found |= _measure(server, fallen, _MORE_ROUNDS)
    failed = False
    for case in cases:
        ratio, before = found[case], kept[_name(case)]
        fell = ratio < _MIN_PART * before
        failed |= fell
        print(f"{_name(case)}: {OURS} / {_PEER} {ratio:.2f}, before {before:.2f}: {'SLOWER' if fell else 'fine'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
