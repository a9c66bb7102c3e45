"""natsroute with its default settings: event routes on a service of this process."""

from __future__ import annotations

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

from benchmarks.job import QUEUE_GROUP, RELAY_SUBJECT, SUBJECT, Job, tell
from natsroute import Event, EventRoutes, NatsrouteService, Settings

Facts = dict[str, Any]

_SETTLE = 0.3  # seconds to see whether more comes than was sent


async def consume(reactor: Any, job: Job) -> Facts:
    """An event route that counts."""
    received = size = started = 0
    ended: Deferred[int] = Deferred()
    event_route = EventRoutes()

    @event_route(f"nats:{SUBJECT}")
    def count(event: Event) -> None:
        nonlocal received, size, started
        if not received:
            started = perf_counter_ns()
        received += 1
        size += len(event.data)
        if received == job.count:
            ended.callback(perf_counter_ns())

    _, notes = await _serve(reactor, job, event_route)
    end = await _in_time(reactor, job, ended)
    await deferLater(reactor, _SETTLE)
    return {"received": received, "bytes": size, "nanoseconds": end - started, "notes": notes[:10]}


async def relay(reactor: Any, job: Job) -> Facts:
    """
    An event route that publishes what it gets, and does not wait; the clock stops when the server has confirmed all.

    One subject keeps its order, so the confirmation of the last message is that of all; the publisher's count is told
    beside it.
    """
    received = size = started = 0
    ended: Deferred[int] = Deferred()
    event_route = EventRoutes()

    @event_route(f"nats:{SUBJECT}")
    def pass_on(event: Event) -> None:
        nonlocal received, size, started
        if not received:
            started = perf_counter_ns()
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
        "received": received,
        "confirmed": service.publisher.account().confirmed,
        "bytes": size,
        "nanoseconds": end - started,
        "notes": notes[:10],
    }


async def respond(reactor: Any, job: Job) -> Facts:
    """An event route that answers."""
    event_route = EventRoutes()

    @event_route(f"nats:{SUBJECT}")
    def answer(event: Event) -> None:
        event.respond(event.data)

    await _serve(reactor, job, event_route)
    await deferLater(reactor, job.patience)
    return {}


async def _serve(reactor: Any, job: Job, event_route: EventRoutes) -> tuple[NatsrouteService, list[str]]:
    notes: list[str] = []

    @event_route("nats:disconnected")
    def note(event: Event) -> None:
        notes.append(f"disconnected from {event.server}")

    settings: dict[str, Any] = {"nats_url": job.url, "subject_queue_group": f"{SUBJECT}:{QUEUE_GROUP}"}
    service = NatsrouteService(Settings(**settings), event_route, reactor=reactor)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    while not service.connected:
        await deferLater(reactor, 0.01)
    tell(ready=True)
    return service, notes


async def _in_time(reactor: Any, job: Job, ended: Deferred[int]) -> int:
    try:
        return await ended.addTimeout(job.patience, reactor)
    except defer.TimeoutError:
        return perf_counter_ns()


async def _play(reactor: Any, job: Job, facts: Facts) -> None:
    facts.update(await ROLES[job.role](reactor, job))


ROLES: dict[str, Callable[[Any, Job], Awaitable[Facts]]] = {"consume": consume, "relay": relay, "respond": respond}

if __name__ == "__main__":
    warnings = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.warn)])
    globalLogBeginner.beginLoggingTo([warnings], redirectStandardIO=False)
    job = Job.read()
    facts: Facts = {}
    try:
        react(lambda reactor: Deferred.fromCoroutine(_play(reactor, job, facts)))
    finally:
        tell(**facts)  # when all is closed: what is told last lets the benchmark end this process
