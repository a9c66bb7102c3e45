"""
``python -m tests.chaos``: the long runs of the chaos suite, by hand; each prints what it found.

The same seed makes the same plan, as far as processes and networks can be repeated. The exit code is 1 if something was
not as it must be; then the files of the run, with its log, are kept.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver

from tests.chaos import mixed, restarts, stuck
from tests.chaos.outages import Outage, plan
from tests.chaos.peers import NATSROUTE, PEERS, Peer, server_version
from tests.chaos.publishers import NatsroutePublisher
from tests.chaos.report import reasons, table
from tests.chaos.tally import RouteCounters


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").split("\n\n")[0])
    runs = parser.add_subparsers(dest="run", required=True)
    for name, least, most, what in [
        ("restarts", 0.5, 2.5, "natsroute publishes while nats-server is killed again and again"),
        ("compare", 2.5, 3.5, "the same with nats-py and Kamailio, which waits 2 s before it connects again"),
    ]:
        run = runs.add_parser(name, help=what)
        run.add_argument("--restarts", type=int, default=100, help="default: 100")
        run.add_argument("--rate", type=float, default=5_000.0, help="messages a second; default: 5,000")
        run.add_argument(
            "--up",
            type=float,
            nargs=2,
            default=(least, most),
            metavar=("LEAST", "MOST"),
            help=f"seconds that nats-server runs between two kills; default: {least} to {most}",
        )
    run = runs.add_parser("mixed", help="all kinds of trouble at once, then the end under load")
    run.add_argument("--seconds", type=float, default=120.0, help="default: 120")
    for run in runs.choices.values():
        run.add_argument("--seed", type=int, default=1, help="default: 1")
    run = runs.add_parser("stuck", help="a route is stuck while much more arrives than natsroute may hold")
    run.add_argument("--seconds", type=float, default=60.0, help="that it is stuck; default: 60")
    run.add_argument("--mebibytes", type=int, default=1024, help="that arrive meanwhile; default: 1024")
    return parser.parse_args()


async def _publish(
    reactor: Any, folder: Path, peer: Peer, outages: list[Outage], rate: float
) -> tuple[RouteCounters | str, list[str]]:
    """What became of a peer's messages, or why there is nothing to tell; and what was not as it must be."""
    if peer.find_version() is None:
        return "not installed", [f"{peer.name}: not installed"]
    print(f"{peer.name} ...", file=sys.stderr, flush=True)
    try:
        publisher = peer.make(rate)
        found = await restarts.run(reactor, folder, publisher, outages)
    except Exception:
        return "did not run", [f"{peer.name}: {traceback.format_exc()}"]
    if not isinstance(publisher, NatsroutePublisher):
        return found, []
    auditor = publisher.auditor
    print(f"natsroute's own figures were looked at {auditor.samples:,} times", file=sys.stderr)
    return found, [*found.complaints, *auditor.differences]


async def _restarts(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    outages = plan(arguments.seed, arguments.restarts, tuple(arguments.up))
    peers = PEERS if arguments.run == "compare" else (NATSROUTE,)
    tallies: dict[str, RouteCounters | str] = {}
    complaints: list[str] = []
    for number, peer in enumerate(peers):
        found = await _publish(reactor, folder / str(number), peer, outages, arguments.rate)
        tallies[peer.name] = found[0]
        complaints += found[1]
    versions = dict.fromkeys(filter(None, (peer.find_version() for peer in peers)))
    print(
        f"{arguments.rate:,.0f} messages a second for {outages[-1].at:,.0f} s, in which nats-server is killed with "
        f"SIGKILL and started again {len(outages)} times (seed {arguments.seed}). {', '.join(versions)}; "
        f"{server_version()}.\n"
    )
    print(table(tallies), *[f"- {line}" for line in reasons(tallies)], sep="\n")
    return complaints


async def _mixed(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    outcome = await mixed.run(reactor, folder / "mixed", arguments.seed, arguments.seconds)
    print(f"seed {arguments.seed}, {arguments.seconds:.0f} s", *_lines(outcome.figures), sep="\n")
    return outcome.complaints


async def _stuck(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    outcome = await stuck.run(reactor, folder / "stuck", arguments.seconds, arguments.mebibytes * 1024 * 1024)
    figures = {
        "nats-server's configuration": stuck.CONFIG.strip().replace("\n", ", "),
        "natsroute's pending_max_bytes": f"{stuck.PENDING // 1024:,} KiB",
        "natsroute before": f"{outcome.before:,} KiB",
        "natsroute grew by at most": f"{outcome.growth:,} KiB",
        "nats-server held": f"{outcome.server:,} KiB",
        "afterwards": outcome.handled,
    }
    print(*_lines(figures), sep="\n")
    return [
        *([] if outcome.complete else ["not each message was handled once, and in order"]),
        *([] if outcome.growth < stuck.ROOM else [f"natsroute grew by more than {stuck.ROOM:,} KiB"]),
    ]


def _lines(figures: dict[str, object]) -> list[str]:
    return [f"- {name}: {figure}" for name, figure in figures.items()]


RUNS = {"restarts": _restarts, "compare": _restarts, "mixed": _mixed, "stuck": _stuck}


async def _main(reactor: Any) -> None:
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="natsroute-chaos-"))
    log = (folder / "log").open("w")
    globalLogBeginner.beginLoggingTo([textFileLogObserver(log)], redirectStandardIO=False)
    try:
        complaints = await RUNS[arguments.run](reactor, folder, arguments)
    except Exception:
        complaints = [traceback.format_exc()]
    log.flush()
    if complaints:
        print("\nNot as it must be:", *[f"- {complaint}" for complaint in complaints], f"See {folder}", sep="\n")
        raise SystemExit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(_main(reactor)))
