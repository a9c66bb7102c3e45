"""
natsroute with a ``kamailio.cfg``: the one of :mod:`~benchmarks.peers.kamailio_script`, which Kamailio runs too.

Its time for consuming ends when the counts of the script arrive, as Kamailio's does.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from benchmarks.load.job import Job, report, report_ready
from benchmarks.peers import Peer
from benchmarks.peers.kamailio_script import COUNTS, REPLIES, TARGETS, write
from natsroute import Event, EventRoutes, NatsrouteService, Settings

Facts = dict[str, Any]

_TIMES = 2  # the script publishes its counts as often

PEER = Peer(
    "natsroute with the kamailio.cfg that Kamailio has",
    roles=("script",),
    refuses_mixed="Kamailio's event routes, which it runs, take no wildcard",
    fixed_reply=REPLIES,
)


async def _run(reactor: Any, job: Job, folder: Path, **language: bool) -> Facts:
    """Run the script until it has counted all messages."""
    arrived: list[bytes] = []
    counted: Deferred[int] = Deferred()
    watching = EventRoutes()

    @watching(f"nats:{COUNTS}")
    def on_counts(event: Event) -> None:
        arrived.append(event.data)
        if len(arrived) == _TIMES:
            counted.callback(perf_counter_ns())

    await _start(reactor, Settings(nats_url=job.url, subject_queue_group=COUNTS), watching)
    script = write(folder, job, 5060, **language)
    await _start(reactor, Settings.from_environment({}, kamailio_cfg=str(script)))
    report_ready()
    if job.role in TARGETS:
        await deferLater(reactor, job.timeout)
    try:
        at = await counted.addTimeout(job.timeout, reactor)
    except defer.TimeoutError:
        return {"at": perf_counter_ns(), "received": 0}
    received, size = map(int, arrived[0].split())
    return {"at": at, "received": received, "bytes": size, "extra_published": _TIMES}


async def _start(reactor: Any, settings: Settings, routes: EventRoutes | None = None) -> NatsrouteService:
    service = NatsrouteService(settings, routes, reactor=reactor)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    while not service.connected:
        await deferLater(reactor, 0.01)
    return service


async def _run_in(reactor: Any, job: Job, facts: Facts, **language: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        facts.update(await _run(reactor, job, Path(folder), **language))


def main(*, lua: bool = False, python: bool = False) -> None:
    """Take the role of the job, with the script in another language or in Kamailio's own."""
    job = Job.read()
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.error)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    facts: Facts = {}
    try:
        react(lambda reactor: Deferred.fromCoroutine(_run_in(reactor, job, facts, lua=lua, python=python)))
    finally:
        report(**facts)  # after the shutdown, because the benchmark ends this process when it has the last report


if __name__ == "__main__":
    main()
