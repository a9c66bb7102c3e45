"""
``python -m benchmarks.guard`` fails if natsroute has become slower compared with nats-py. It takes two minutes.

It guards natsroute in pure Python and with its compiled hot path. If that is not installed, it guards pure Python only,
and says so; in CI (the variable ``CI`` is set), that is a failure.

It compares ratios of medians with the ratios in ``guard.json``, never seconds with seconds. If a ratio is lower by more
than a quarter, it is measured again with more rounds, and then once more; if it is still that low, the exit code is 1.
``--update`` writes the measured ratios to ``guard.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.catalogue import PEERS, SCENARIOS
from benchmarks.load.hot_path import implementation
from benchmarks.load.traffic import SUBJECTS
from benchmarks.peers import OURS, PURE_OURS
from benchmarks.run.machine import machine
from benchmarks.run.processors import Processors, bound_to
from benchmarks.run.results import Series
from benchmarks.run.rounds import Selection, print_progress, run
from benchmarks.run.scenario import GOAL_SIZE
from benchmarks.run.servers import NatsServer

FILE = Path(__file__).with_suffix(".json")
_PEER = "nats-py"
_SCENARIOS = ("consume", "relay", "publish")
_ROUNDS, _MORE_ROUNDS = 5, 9
_MORE_TIMES = 2  # the machine may be busy for a while
_MESSAGES = 60_000
_MIN_PART = 0.75  # of the ratio in the file

#: A scenario and a kind of traffic.
Case = tuple[str, str]
#: The ratios by hot path and by the name of the case, as in the file.
Ratios = dict[str, dict[str, float]]


def _guarded() -> dict[str, str]:
    """The peers to guard, by hot path."""
    return {"pure": PURE_OURS, **({"compiled": OURS} if implementation() == "compiled" else {})}


def _measure(server: NatsServer, cases: Iterable[Case], rounds: int) -> Ratios:
    """Measure the ratios of each case."""
    guarded = _guarded()
    names = [*guarded.values(), _PEER]
    ratios: Ratios = {hot_path: {} for hot_path in guarded}
    for scenario, traffic in cases:
        selection = Selection(
            scenarios={scenario: SCENARIOS[scenario]},
            peers={name: PEERS[name] for name in names},
            missing=dict.fromkeys(names, ""),
            traffic=[traffic],
            sizes=[GOAL_SIZE],
            rounds=rounds,
            messages=_MESSAGES,
            processors=Processors.divided(),
        )
        table = {series.peer: series for series in run(server, selection)}
        measure = SCENARIOS[scenario].measures[0].name
        for hot_path, ours in guarded.items():
            ratios[hot_path][_name((scenario, traffic))] = _ratio(table[ours], table[_PEER], measure)
    return ratios


def _ratio(ours: Series, theirs: Series, measure: str) -> float:
    mine, others = ours.median(measure), theirs.median(measure)
    if mine is None or others is None:
        raise SystemExit(f"{ours.scenario}, {ours.traffic}: no round counts: {ours.problems + theirs.problems}")
    return mine / others


def _name(case: Case) -> str:
    return ", ".join(case)


def _fell(found: Ratios, kept: Ratios, hot_path: str, name: str) -> bool:
    return found[hot_path][name] < _MIN_PART * kept[hot_path][name]


def _update(found: Ratios, kept: Ratios) -> None:
    # Without the compiled hot path, its ratios stay as they are.
    rounded = {path: {name: round(ratio, 2) for name, ratio in cases.items()} for path, cases in found.items()}
    facts = {"about": machine(), "ratios": {**kept, **rounded}}
    FILE.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"{FILE.name}: {rounded}")


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and compare with the file or update it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__.split("\n\n")[0])
    parser.add_argument("--update", action="store_true", help=f"write the measured ratios to {FILE.name}")
    arguments = parser.parse_args(words)
    if "compiled" not in _guarded():
        text = "the compiled hot path is not installed, so it is not guarded"
        if os.environ.get("CI"):
            raise SystemExit(f"{text}; CI has to install it (NATSROUTE_EXTENSION=require pip install -e .)")
        print(text)
    cases = [(scenario, traffic) for scenario in _SCENARIOS for traffic in SUBJECTS]
    kept: Ratios = json.loads(FILE.read_text(encoding="utf-8"))["ratios"]
    processors = Processors.divided()
    with bound_to(processors.others), NatsServer() as server:
        found = _measure(server, cases, _MORE_ROUNDS if arguments.update else _ROUNDS)
        if arguments.update:
            _update(found, kept)
            return 0
        for _ in range(_MORE_TIMES):
            fallen = [case for case in cases if any(_fell(found, kept, path, _name(case)) for path in found)]
            if not fallen:
                break
            print_progress(f"measuring again: {'; '.join(map(_name, fallen))}")
            for path, again in _measure(server, fallen, _MORE_ROUNDS).items():
                found[path] |= again
    failed = False
    for path, ratios in found.items():
        for name, ratio in ratios.items():
            fell = _fell(found, kept, path, name)
            failed |= fell
            verdict = "SLOWER" if fell else "fine"
            print(f"{path}, {name}: {OURS} / {_PEER} {ratio:.2f}, before {kept[path][name]:.2f}: {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
