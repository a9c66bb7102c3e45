"""
``python -m benchmarks`` compares natsroute with other NATS clients on this machine, with one nats-server.

It needs ``pip install '.[dev]'``, and writes the report (Markdown), the figures (JSON) and charts (SVG).

The exit code is 1 if a round does not count, if a goal is missed, if a relay loses or duplicates messages, or if
natsroute's relay changes their order.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import monotonic

from benchmarks import guard, in_process
from benchmarks.catalogue import PEERS, SCENARIOS
from benchmarks.load.hot_path import implementation
from benchmarks.load.traffic import SUBJECTS
from benchmarks.report import charts, page
from benchmarks.report.goals import verdicts
from benchmarks.report.markdown import markdown, problems
from benchmarks.run.machine import machine
from benchmarks.run.processors import Processors, bound_to
from benchmarks.run.relay_check import check_relay
from benchmarks.run.results import FOLDER, Results
from benchmarks.run.rounds import Selection, print_progress, run
from benchmarks.run.scenario import GOAL_SIZE
from benchmarks.run.second_python import SecondRun
from benchmarks.run.servers import NatsServer

_PEERS = [name for name, peer in PEERS.items() if peer.by_default]
_ALL_SIZES = (16, 128, 1_024, 65_536)
_DEFAULT = {"rounds": 5, "messages": 200_000, "sizes": [GOAL_SIZE]}
_QUICK = {"rounds": 1, "messages": 20_000, "sizes": [GOAL_SIZE]}
_FULL = {"rounds": 5, "messages": 200_000, "sizes": list(_ALL_SIZES)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true", help="all scenarios and all sizes; takes hours")
    parser.add_argument(
        "--quick", action="store_true", help="1 round of 20,000 messages; only shows that everything works"
    )
    parser.add_argument("--guard", action="store_true", help="run python -m benchmarks.guard instead")
    usual = [name for name, scenario in SCENARIOS.items() if scenario.by_default]
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, help=f"default: {' '.join(usual)}")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=_PEERS, help=f"default: {' '.join(_PEERS)}")
    parser.add_argument("--rounds", type=int, choices=range(1, 101), metavar="1..100", help="default: 5")
    parser.add_argument("--messages", type=int, help="messages of one run; default: 200,000")
    parser.add_argument("--sizes", nargs="+", type=int, help=f"bytes of the uniform payloads; default: {GOAL_SIZE}")
    parser.add_argument("--traffic", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help="default: both")
    parser.add_argument(
        "--shared", action="store_true", help="let the server, the feeder and the peer share all processors"
    )
    parser.add_argument(
        "--second-python",
        type=Path,
        metavar="PATH",
        help="a newer Python with the same packages, for the peers that need it",
    )
    parser.add_argument(
        "--in-process", action="store_true", help="measure the hot path alone too; also if no scenario is named"
    )
    parser.add_argument("--page", action="store_true", help="then write the results into docs/performance.md")
    parser.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER", help=f"default: {FOLDER.name}/")
    arguments = parser.parse_args()
    for name, value in (_FULL if arguments.full else _QUICK if arguments.quick else _DEFAULT).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    arguments.in_process |= not arguments.scenarios
    arguments.scenarios = arguments.scenarios or (list(SCENARIOS) if arguments.full else usual)
    return arguments


def _run_all(selection: Selection, results: Results) -> None:
    with bound_to(selection.processors.others), NatsServer() as server:
        for traffic, size in selection.kinds:
            testbed = selection.testbed(server, traffic, size)
            fed = testbed.feed(testbed.job("feed", testbed.count))
            alone = testbed.count / (fed["nanoseconds"] / 1e9)
            results.about[f"the feeder alone, {traffic} {size or ''}".strip()] = f"{alone:,.0f} messages/s"
        for series in run(server, selection):
            results.series.append(series)
        for series in results.series:
            if series.scenario == "relay" and series.size in (0, GOAL_SIZE) and not series.absent:
                text, fine = check_relay(selection.testbed(server, series.traffic, series.size), series.peer)
                results.relays.append(f"{series.traffic}, {text}")
                results.relay_failed |= not fine


def main() -> int:
    """Run the benchmarks, and write their results."""
    arguments = _arguments()
    if arguments.guard:
        return guard.main([])
    missing = {name: PEERS[name].missing() for name in arguments.peers}
    present = [name for name, reason in missing.items() if not reason]
    selection = Selection(
        scenarios={name: SCENARIOS[name] for name in arguments.scenarios},
        peers={name: PEERS[name] for name in arguments.peers},
        missing=missing,
        traffic=arguments.traffic,
        sizes=arguments.sizes,
        rounds=arguments.rounds,
        messages=arguments.messages,
        processors=Processors.shared() if arguments.shared else Processors.divided(),
    )
    about = {
        **machine(),
        "processors": str(selection.processors),
        "a run": f"{selection.messages:,} messages, at most 100 MiB; rounds: {selection.rounds}",
        **{
            f"a run of {name}": f"{PEERS[name].fraction:.0%} of that, because it takes longer"
            for name in present
            if PEERS[name].fraction < 1
        },
    }
    second = _second(arguments, selection)
    results = Results(
        about,
        {name: PEERS[name].about for name in present},
        missing={name: reason for name, reason in missing.items() if reason},
        hot_path=implementation(),
    )
    began = monotonic()
    if arguments.in_process:
        results.in_process = in_process.measure_both()
    _run_all(selection, results)
    if second is not None:
        results.second = second.run()
    results.about["the whole run"] = f"{(monotonic() - began) / 60:.0f} minutes"
    report = markdown(results)
    results.write(arguments.results)
    (arguments.results / "table.md").write_text(report, encoding="utf-8")
    try:
        charts.draw(results, arguments.results)
    except ImportError as error:
        print_progress(f"no charts: {error}")
    if arguments.page:
        page.write(arguments.results)
    print(report)
    missed = any(verdict.word == "missed" for verdict in verdicts(results))
    return 1 if missed or results.relays_failed or any(problems(results)) else 0


def _second(arguments: argparse.Namespace, selection: Selection) -> SecondRun | None:
    newer = [name for name, peer in selection.peers.items() if sys.version_info[:2] < peer.min_python]
    if not (newer and arguments.second_python):
        return None
    words = ["--rounds", selection.rounds, "--messages", selection.messages, "--traffic", *selection.traffic]
    words += ["--sizes", *selection.sizes, *(["--shared"] if arguments.shared else [])]
    return SecondRun.prepare(arguments.second_python, newer, selection.scenarios, [str(word) for word in words])


if __name__ == "__main__":
    sys.exit(main())
