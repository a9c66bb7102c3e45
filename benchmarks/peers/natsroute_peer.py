"""natsroute with its default settings: event routes on a service of this process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
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

from benchmarks.load.job import QUEUE_GROUP, RELAY_SUBJECT, REPORT_SUBJECT, Job, tell, tell_ready
from benchmarks.load.traffic import messages
from benchmarks.peers import Peer
from natsroute import Event, EventRoutes, NatsrouteService, Settings

Facts = dict[str, Any]

_SETTLE = 0.3  # seconds to see whether more comes than was sent


async def consume(reactor: Any, job: Job) -> Facts:
    """
    An event route that counts; with more routes, all of them are the same function.

    For the role ``entries`` each subject has an entry, and so a connection; for ``subscriptions`` all share one.
    """
    received = size = 0
    mark = job.mark
    ended: Deferred[int] = Deferred()
    event_route = EventRoutes()

    def count(event: Event) -> None:
        nonlocal received, size, mark
        received += 1
        size += len(event.data)
        if received == mark:
            at = perf_counter_ns()
            if received == job.count:
                ended.callback(at)
            else:
                tell(at=at, received=received)
                mark += job.step

    for name in _route_names(job):
        event_route(name)(count)
    _, notes = await _serve(reactor, job, event_route)
    end = await _in_time(reactor, job, ended)
    await deferLater(reactor, _SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def relay(reactor: Any, job: Job) -> Facts:
    """
    An event route that publishes what it gets, and does not wait; the clock stops when the server has confirmed all.

    One subject keeps its order, so the confirmation of the last message is that of all; the publisher's count is told
    beside it.
    """
    received = size = 0
    ended: Deferred[int] = Deferred()
    event_route = EventRoutes()

    @event_route(f"nats:{job.pattern}")
    def pass_on(event: Event) -> None:
        nonlocal received, size
        received += 1
        data = event.data
        size += len(data)
        confirmed = event.publish(RELAY_SUBJECT, data)
        if received == job.count:
            confirmed.addCallback(lambda _: ended.callback(perf_counter_ns()))

    service, notes = await _serve(reactor, job, event_route)
    end = await _in_time(reactor, job, ended)
    await deferLater(reactor, _SETTLE)
    return {
        "at": end,
        "received": received,
        "confirmed": service.publisher.account().confirmed,
        "bytes": size,
        "notes": notes[:10],
    }


async def respond(reactor: Any, job: Job) -> Facts:
    """An event route that answers."""
    event_route = EventRoutes()

    @event_route(f"nats:{job.pattern}")
    def answer(event: Event) -> None:
        event.respond(event.data)

    await _serve(reactor, job, event_route)
    await deferLater(reactor, job.patience)
    return {}


async def publish(reactor: Any, job: Job) -> Facts:
    """Publishing without routes, and a flush after each batch; each message is counted as confirmed, or as failed."""
    all_messages = list(messages(job))
    gc.freeze()  # the messages are not to be looked through again and again: a real program has none of them
    service, notes = await _connect(reactor, job, EventRoutes())
    began = perf_counter_ns()
    for start in range(0, job.count, job.batch):
        for subject, payload, reply, headers in all_messages[start : start + job.batch]:
            service.publish(subject, payload, reply or None, headers)
        await service.flush()
    ended = perf_counter_ns()
    account = service.publisher.account()
    if account.failed:
        notes.append(f"{account.failed} failed")
    return {"began": began, "at": ended, "confirmed": account.confirmed, "notes": notes[:10]}


async def share(reactor: Any, job: Job) -> Facts:
    """An event route that counts what the queue group gives to this process, and one that tells it."""
    received = last = 0
    event_route = EventRoutes()

    @event_route(f"nats:{job.pattern}")
    def count(event: Event) -> None:
        nonlocal received, last
        received += 1
        last = perf_counter_ns()

    @event_route(f"nats:{REPORT_SUBJECT}")
    def report(event: Event) -> None:
        tell(at=last, received=received)

    await _serve(reactor, job, event_route)
    await deferLater(reactor, job.patience)
    return {}


def _route_names(job: Job) -> list[str]:
    # Routes of their own for the subjects, when there are to be as many.
    subjects = job.subject_names if job.routes >= job.subjects else [job.pattern]
    others = (f"other.{number}" if number % 10 else f"other.{number}.*" for number in range(job.routes))
    return [f"nats:{subject}" for subject in [*subjects, *others][: max(job.routes, len(subjects))]]


def _entries(job: Job) -> tuple[str, ...]:
    if job.role == "publish":
        return ()
    subjects = {"entries": job.subject_names, "subscriptions": job.subject_names[:1]}.get(job.role, [job.pattern])
    own = [REPORT_SUBJECT] if job.role == "share" else []
    return (*(f"{subject}:{QUEUE_GROUP}" for subject in subjects), *own)


async def _serve(reactor: Any, job: Job, event_route: EventRoutes) -> tuple[NatsrouteService, list[str]]:
    service, notes = await _connect(reactor, job, event_route)
    tell_ready()
    return service, notes


async def _connect(reactor: Any, job: Job, event_route: EventRoutes) -> tuple[NatsrouteService, list[str]]:
    notes: list[str] = []

    @event_route("nats:disconnected")
    def note(event: Event) -> None:
        notes.append(f"disconnected from {event.server}")

    settings: dict[str, Any] = {"nats_url": job.url, "subject_queue_group": _entries(job)}
    if job.ca_file:
        settings |= {"tls": 1, "tls_ca_file": job.ca_file}
    service = NatsrouteService(Settings(**settings), event_route, reactor=reactor)
    if job.role == "subscriptions":
        (consumer,) = service.consumers
        for subject in job.subject_names[1:]:
            consumer.connection.subscribe(subject, consumer.runner.on_msg, QUEUE_GROUP)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    while not service.connected:
        await deferLater(reactor, 0.01)
    return service, notes


async def _in_time(reactor: Any, job: Job, ended: Deferred[int]) -> int:
    try:
        return await ended.addTimeout(job.patience, reactor)
    except defer.TimeoutError:
        return perf_counter_ns()


async def _play(reactor: Any, job: Job, facts: Facts) -> None:
    facts.update(await ROLES[job.role](reactor, job))


ROLES: dict[str, Callable[[Any, Job], Awaitable[Facts]]] = {
    "consume": consume,
    "relay": relay,
    "respond": respond,
    "publish": publish,
    "entries": consume,
    "subscriptions": consume,
    "share": share,
}

PEER = Peer("natsroute, default settings", roles=(*ROLES, "step", "routes", "tls"))


def main() -> None:
    """Play the role of the job."""
    job = Job.read()
    # That it consumes nothing is no news to a publisher.
    level = LogLevel.error if job.role == "publish" else LogLevel.warn
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(level)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    facts: Facts = {}
    try:
        react(lambda reactor: Deferred.fromCoroutine(_play(reactor, job, facts)))
    finally:
        tell(**facts)  # when all is closed: what is told last lets the benchmark end this process


if __name__ == "__main__":
    main()
