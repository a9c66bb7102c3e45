"""
``python -m tests.chaos``: the long runs of the chaos suite. Each prints what it found.

The same seed gives the same plan, as far as processes and networks can be repeated. If something happened that must not
happen, the exit code is 1 and the files of the run are kept, with its log.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver

from tests.chaos import (
    blocked_route,
    lame_duck,
    mixed,
    payload_limits,
    permissions,
    processes,
    readyz,
    reloads,
    restarts,
    stream_kills,
    stream_leaders,
    subject_mapping,
)
from tests.chaos.comparison import Comparison
from tests.chaos.markdown import reasons, table
from tests.chaos.outages import Outage, plan_outages, seconds_of
from tests.chaos.outcome import Outcome
from tests.chaos.peers import NATSROUTE, PEERS, Peer
from tests.chaos.publishers import NatsroutePublisher
from tests.support.nats_server import server_version

#: The runs that a seed and a time describe, and what each is.
TIMED: dict[str, tuple[Callable[[Any, Path, int, float], Awaitable[Outcome]], str]] = {
    "mixed": (mixed.run, "all kinds of trouble in one run, and a stop under load"),
    "permissions": (permissions.run, "permissions change while natsroute publishes and consumes"),
    "subject-mapping": (subject_mapping.run, "an account maps subjects, and refuses them under their new names"),
    "payload-limits": (payload_limits.run, "a cluster whose nodes differ in max_payload"),
    "stream-leaders": (stream_leaders.run, "a replicated stream whose leaders step down, and whose nodes are killed"),
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").split("\n\n")[0])
    runs = parser.add_subparsers(dest="run", required=True)
    for name, minimum, maximum, what in [
        ("restarts", 0.5, 2.5, "natsroute publishes while nats-server is killed again and again"),
        ("compare", 2.5, 3.5, "the same with nats-py and Kamailio, which waits 2 s before it reconnects"),
    ]:
        run = runs.add_parser(name, help=what)
        run.add_argument("--restarts", type=int, default=100, help="default: 100")
        run.add_argument("--kills", type=int, default=1, help="kills at each restart, in quick succession; default: 1")
        run.add_argument("--rate", type=float, default=5_000.0, help="messages a second; default: 5,000")
        run.add_argument(
            "--uptime",
            type=float,
            nargs=2,
            default=(minimum, maximum),
            metavar=("MIN", "MAX"),
            help=f"seconds that nats-server runs between two kills; default: {minimum} to {maximum}",
        )
    for name, (_, what) in TIMED.items():
        run = runs.add_parser(name, help=what)
        run.add_argument("--seconds", type=float, default=120.0, help="default: 120")
    run = runs.add_parser("lame-duck", help="the node of a queue group's only member shuts down")
    run.add_argument("--rounds", type=int, default=50, help="how often; default: 50")
    runs.add_parser("readyz", help="what /readyz says when something is wrong, and after how many seconds")
    run = runs.add_parser("reloads", help="the code is loaded anew under a steady load")
    run.add_argument("--reloads", type=int, default=100, help="default: 100")
    run.add_argument("--rate", type=float, default=20_000.0, help="messages a second; default: 20,000")
    run = runs.add_parser("processes", help="the processes of a service are replaced by new versions, and killed")
    run.add_argument("--reloads", type=int, default=100, help="default: 100")
    run.add_argument(
        "--rate", type=float, default=20_000.0, help="messages a second during the reloads; default: 20,000"
    )
    run.add_argument("--kills", type=int, default=50, help="default: 50")
    run.add_argument("--kill-rate", type=float, default=5_000.0, help="the same during the kills; default: 5,000")
    run = runs.add_parser("stream-kills", help="two natsroute processes that work through a stream are killed")
    run.add_argument("--messages", type=int, default=100_000, help="default: 100,000")
    run.add_argument("--kills", type=int, default=20, help="of natsroute, with SIGKILL; default: 20")
    run.add_argument("--restarts", type=int, default=5, help="of nats-server; default: 5")
    for run in runs.choices.values():
        run.add_argument("--seed", type=int, default=1, help="default: 1")
    run = runs.add_parser("blocked-route", help="a route blocks while much more arrives than natsroute may hold")
    run.add_argument("--seconds", type=float, default=60.0, help="how long it blocks; default: 60")
    run.add_argument("--mebibytes", type=int, default=1024, help="how much arrives meanwhile; default: 1024")
    return parser.parse_args()


async def _publish(
    reactor: Any, folder: Path, peer: Peer, outages: list[Outage], rate: float
) -> tuple[Comparison | str, list[str]]:
    """What became of a peer's messages, or why there is no comparison; and what must not have happened."""
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
    print(f"the ledger was checked {auditor.samples:,} times", file=sys.stderr)
    return found, [*found.violations, *auditor.differences]


async def _restarts(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    outages = plan_outages(arguments.seed, arguments.restarts, tuple(arguments.uptime), arguments.kills)
    peers = PEERS if arguments.run == "compare" else (NATSROUTE,)
    comparisons: dict[str, Comparison | str] = {}
    violations: list[str] = []
    for number, peer in enumerate(peers):
        found = await _publish(reactor, folder / str(number), peer, outages, arguments.rate)
        comparisons[peer.name] = found[0]
        violations += found[1]
    versions = dict.fromkeys(filter(None, (peer.find_version() for peer in peers)))
    print(
        f"{arguments.rate:,.0f} messages a second for {seconds_of(outages):,.0f} s, in which nats-server is killed "
        f"with SIGKILL and started again {len(outages)} times (seed {arguments.seed}). {', '.join(versions)}; "
        f"nats-server {server_version()}.\n"
    )
    print(table(comparisons), *[f"- {line}" for line in reasons(comparisons)], sep="\n")
    return violations


async def _timed(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    run, _ = TIMED[arguments.run]
    outcome = await run(reactor, folder / arguments.run, arguments.seed, arguments.seconds)
    print(f"seed {arguments.seed}, {arguments.seconds:.0f} s", *_lines(outcome.figures), sep="\n")
    return outcome.violations


async def _lame_duck(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    outcome = await lame_duck.run(reactor, folder / "lame-duck", arguments.seed, arguments.rounds)
    print(f"seed {arguments.seed}, {arguments.rounds} rounds", *_lines(outcome.figures), sep="\n")
    return outcome.violations


async def _reloads(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    outcome = await reloads.run(reactor, folder / "reloads", arguments.seed, arguments.reloads, arguments.rate)
    print(f"seed {arguments.seed}", *_lines(outcome.figures), sep="\n")
    return outcome.violations


async def _blocked_route(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    outcome = await blocked_route.run(
        reactor, folder / "blocked-route", arguments.seconds, arguments.mebibytes * 1024 * 1024
    )
    figures = {
        "nats-server's configuration": blocked_route.CONFIG.strip().replace("\n", ", "),
        "natsroute's pending_max_bytes": f"{blocked_route.PENDING // 1024:,} KiB",
        "natsroute before the run": f"{outcome.before:,} KiB",
        "natsroute grew by at most": f"{outcome.growth:,} KiB",
        "nats-server held": f"{outcome.server:,} KiB",
        "afterwards": outcome.handled,
    }
    print(*_lines(figures), sep="\n")
    return [
        *([] if outcome.complete else ["not every message was handled once and in order"]),
        *(
            []
            if outcome.growth < blocked_route.MAX_GROWTH
            else [f"natsroute grew by more than {blocked_route.MAX_GROWTH:,} KiB"]
        ),
    ]


async def _readyz(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    print(*readyz.table(await readyz.run(reactor, folder / "readyz")), sep="\n")
    return []


async def _processes(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    violations: list[str] = []
    for name, function, times, rate in (
        ("reloads", processes.reload_again_and_again, arguments.reloads, arguments.rate),
        ("kills", processes.kill_again_and_again, arguments.kills, arguments.kill_rate),
    ):
        if times:
            outcome = await function(reactor, folder / name, arguments.seed, times, rate)
            print(f"seed {arguments.seed}, {processes.PROCESSES} processes", *_lines(outcome.figures), "", sep="\n")
            violations += outcome.violations
    return violations


async def _stream_kills(reactor: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    outcome = await stream_kills.run(
        reactor, folder / "stream-kills", arguments.seed, arguments.messages, arguments.kills, arguments.restarts
    )
    print(f"seed {arguments.seed}", *_lines(outcome.figures), sep="\n")
    return outcome.violations


def _lines(figures: dict[str, object]) -> list[str]:
    return [f"- {name}: {figure}" for name, figure in figures.items()]


RUNS = {
    "restarts": _restarts,
    "compare": _restarts,
    **dict.fromkeys(TIMED, _timed),
    "lame-duck": _lame_duck,
    "reloads": _reloads,
    "blocked-route": _blocked_route,
    "readyz": _readyz,
    "processes": _processes,
    "stream-kills": _stream_kills,
}


async def _main(reactor: Any) -> None:
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="natsroute-chaos-"))
    log = (folder / "log").open("w")
    globalLogBeginner.beginLoggingTo([textFileLogObserver(log)], redirectStandardIO=False)
    try:
        violations = await RUNS[arguments.run](reactor, folder, arguments)
    except Exception:
        violations = [traceback.format_exc()]
    log.flush()
    if violations:
        print("\nThis must not happen:", *[f"- {violation}" for violation in violations], f"See {folder}", sep="\n")
        raise SystemExit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(_main(reactor)))
