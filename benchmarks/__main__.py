"""
``python -m benchmarks``: natsroute and its peers side by side, in turns, on this machine and one nats-server.

It needs ``pip install '.[dev]'``, and writes a table (Markdown), the figures (JSON) and charts (SVG). The exit code is
1 if a round does not count, a relay lost something, or a goal was missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import guard
from benchmarks.load.traffic import SUBJECTS
from benchmarks.report import charts
from benchmarks.report.goals import verdicts
from benchmarks.report.markdown import complaints, markdown
from benchmarks.report.results import FOLDER, Results
from benchmarks.run.catalogue import PEERS, SCENARIOS
from benchmarks.run.machine import machine
from benchmarks.run.order import check_order
from benchmarks.run.processors import Processors, bound_to
from benchmarks.run.rounds import Selection, play, progress
from benchmarks.run.scenario import GOAL_SIZE
from benchmarks.run.servers import NatsServer

_ALL_SIZES = (16, 128, 1_024, 65_536)
_USUAL = {"rounds": 3, "messages": 100_000, "sizes": [GOAL_SIZE]}
_QUICK = {"rounds": 1, "messages": 20_000, "sizes": [GOAL_SIZE]}
_FULL = {"rounds": 5, "messages": 200_000, "sizes": list(_ALL_SIZES)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--full", action="store_true", help="all scenarios, all sizes, 5 rounds of 200,000: takes hours"
    )
    parser.add_argument("--quick", action="store_true", help="1 round of 20,000: shows only that all works")
    parser.add_argument("--guard", action="store_true", help="only what python -m benchmarks.guard does")
    usual = [name for name, scenario in SCENARIOS.items() if scenario.always]
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, help=f"default: {' '.join(usual)}")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--rounds", type=int, choices=range(1, 101), metavar="1..100", help="default: 3")
    parser.add_argument("--messages", type=int, help="messages of a run; default: 100,000")
    parser.add_argument("--sizes", nargs="+", type=int, help=f"bytes of a uniform payload; default: {GOAL_SIZE}")
    parser.add_argument("--traffic", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help="default: both")
    parser.add_argument("--shared", action="store_true", help="let server, feeder and peer share all processors")
    parser.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER", help=f"default: {FOLDER.name}/")
    arguments = parser.parse_args()
    for name, value in (_FULL if arguments.full else _QUICK if arguments.quick else _USUAL).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    arguments.scenarios = arguments.scenarios or (list(SCENARIOS) if arguments.full else usual)
    return arguments


def _run(selection: Selection, results: Results) -> None:
    with bound_to(selection.processors.stage), NatsServer() as server:
        for traffic, size in selection.kinds:
            stage = selection.stage(server, traffic, size)
            fed = stage.feed(stage.job("feed", stage.count))
            alone = stage.count / (fed["nanoseconds"] / 1e9)
            results.about[f"the feeder alone, {traffic} {size or ''}".strip()] = f"{alone:,.0f} messages/s"
        for series in play(server, selection):
            results.series.append(series)
        for series in results.series:
            if series.scenario == "relay" and series.size in (0, GOAL_SIZE) and not series.absent:
                text, fine = check_order(selection.stage(server, series.traffic, series.size), series.peer)
                results.relays.append(f"{series.traffic}, {text}")
                results.relay_failed |= not fine


def main() -> int:
    """Run it all."""
    arguments = _arguments()
    if arguments.guard:
        return guard.main([])
    missing = {name: PEERS[name].missing() for name in arguments.peers}
    present = [name for name, reason in missing.items() if not reason]
    selection = Selection(
        arguments.scenarios,
        missing,
        arguments.traffic,
        arguments.sizes,
        arguments.rounds,
        arguments.messages,
        Processors.shared() if arguments.shared else Processors.divided(),
    )
    about = {
        **machine(),
        "processors": str(selection.processors),
        "a run": f"{selection.messages:,} messages, at most 100 MiB; {selection.rounds} rounds in turns",
        **{
            f"a run of {name}": f"{PEERS[name].share:.0%} of that, for it takes so long"
            for name in present
            if PEERS[name].share < 1
        },
    }
    results = Results(about, {name: PEERS[name].about for name in present})
    _run(selection, results)
    report = markdown(results)
    results.write(arguments.results)
    (arguments.results / "table.md").write_text(report, encoding="utf-8")
    try:
        charts.draw(results, arguments.results)
    except ImportError as error:
        progress(f"no charts: {error}")
    print(report)
    missed = any(verdict.word == "MISSED" for verdict in verdicts(results))
    return 1 if missed or results.relay_failed or any(complaints(results)) else 0


if __name__ == "__main__":
    sys.exit(main())
