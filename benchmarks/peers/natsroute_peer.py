"""natsroute with its default settings: a service in this process with event routes."""

from __future__ import annotations

import gc
import sys
from collections import deque
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

from benchmarks.load.asking import send_requests
from benchmarks.load.hot_path import implementation
from benchmarks.load.job import (
    DURABLE,
    QUEUE_GROUP,
    RELAY_SUBJECT,
    REPORT_SUBJECT,
    STREAM,
    Job,
    report,
    report_ready,
)
from benchmarks.load.traffic import messages
from benchmarks.peers import Peer
from natsroute import Event, EventRoutes, NatsrouteService, Settings

Facts = dict[str, Any]

#: Further settings and arguments of the service, for peers that are natsroute with something more.
SETTINGS: dict[str, Any] = {}
ARGUMENTS: dict[str, Any] = {}

_SETTLE = 0.3  # seconds in which a message too many would arrive
_ANSWER_TIMEOUT = 10.0
_PUBLISHED, _BATCHES = 500, 8  # messages to a stream at once; and how many times that may be on their way


async def consume(reactor: Any, job: Job) -> Facts:
    """
    An event route counts the messages; if there are more routes, all have this function.

    In the role ``entries``, each subject has an entry and so a connection. In the role ``subscriptions``, all subjects
    share one connection.
    """
    received = size = 0
    next_report = job.first_report
    ended: Deferred[int] = Deferred()
    event_route = EventRoutes()

    def count(event: Event) -> None:
        nonlocal received, size, next_report
        received += 1
        size += len(event.data)
        if received == next_report:
            at = perf_counter_ns()
            if received == job.count:
                ended.callback(at)
            else:
                report(at=at, received=received)
                next_report += job.step

    for name in _route_names(job):
        event_route(name)(count)
    _, notes = await _serve(reactor, job, event_route)
    end = await _wait(reactor, job, ended)
    await deferLater(reactor, _SETTLE)
    return {"at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def relay(reactor: Any, job: Job) -> Facts:
    """
    An event route publishes each payload again and does not wait; the time ends when the server has confirmed all.

    Messages to one subject stay in order, so the confirmation of the last one confirms all. The report also has the
    publisher's own count of confirmed messages.
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
    end = await _wait(reactor, job, ended)
    await deferLater(reactor, _SETTLE)
    return {
        "at": end,
        "received": received,
        "confirmed": service.publisher.account().confirmed,
        "bytes": size,
        "notes": notes[:10],
    }


async def pass_on(reactor: Any, job: Job) -> Facts:
    """An event route publishes each payload again, and nobody counts."""
    event_route = EventRoutes()

    @event_route(f"nats:{job.pattern}")
    def publish_again(event: Event) -> None:
        event.publish(RELAY_SUBJECT, event.data)

    await _serve(reactor, job, event_route)
    await deferLater(reactor, job.timeout)
    return {}


async def respond(reactor: Any, job: Job) -> Facts:
    """An event route replies with the payload."""
    event_route = EventRoutes()

    @event_route(f"nats:{job.pattern}")
    def answer(event: Event) -> None:
        event.respond(event.data)

    await _serve(reactor, job, event_route)
    await deferLater(reactor, job.timeout)
    return {}


async def publish(reactor: Any, job: Job) -> Facts:
    """Publish without an event route, and flush after each batch; the report has the number of confirmed messages."""
    all_messages = list(messages(job))
    gc.freeze()  # a real program does not hold all these messages, so the collector need not scan them
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


async def request(reactor: Any, job: Job) -> Facts:
    """Send requests, first one at a time, then from coroutines at the same time; compare each answer."""
    service, notes = await _connect(reactor, job, EventRoutes())
    found = await send_requests(
        job,
        lambda payload: service.request(job.pattern, payload, timeout=_ANSWER_TIMEOUT),
        lambda coroutines: defer.gatherResults([*map(Deferred.fromCoroutine, coroutines)]),
    )
    return {**found, "notes": notes[:10]}


async def jetstream_consume(reactor: Any, job: Job) -> Facts:
    """An event route counts the messages of a durable pull consumer, and each is acknowledged after its call."""
    began = received = size = 0
    ended: Deferred[int] = Deferred()
    event_route = EventRoutes()

    @event_route("nats:connected")
    def begin(event: Event) -> None:
        nonlocal began
        began = began or perf_counter_ns()

    @event_route(f"nats:{job.pattern}")
    def count(event: Event) -> None:
        nonlocal received, size
        received += 1
        size += len(event.data)
        if received == job.count:
            ended.callback(perf_counter_ns())

    _, notes = await _connect(reactor, job, event_route)
    end = await _wait(reactor, job, ended)
    await deferLater(reactor, _SETTLE)
    return {"began": began, "at": end, "received": received, "bytes": size, "notes": notes[:10]}


async def jetstream_publish(reactor: Any, job: Job) -> Facts:
    """Publish into a stream without waiting for each acknowledgement; as in the other peers, 4,000 are on their way."""
    all_messages = list(messages(job))
    gc.freeze()  # as in publish()
    service, notes = await _connect(reactor, job, EventRoutes())
    acknowledged = 0

    def count(ack: Any) -> None:
        nonlocal acknowledged
        acknowledged += ack.stream == STREAM

    last_of_batch: deque[Deferred[None]] = deque()
    began = perf_counter_ns()
    for start in range(0, job.count, _PUBLISHED):
        for subject, payload, _, headers in all_messages[start : start + _PUBLISHED]:
            confirmed = service.publish(subject, payload, None, headers).addCallback(count)
        last_of_batch.append(confirmed)
        if len(last_of_batch) == _BATCHES:
            await last_of_batch.popleft()
    await service.flush()
    return {"began": began, "at": perf_counter_ns(), "acknowledged": acknowledged, "notes": notes[:10]}


async def share(reactor: Any, job: Job) -> Facts:
    """One route counts the messages that this process gets from the queue group, another reports their number."""
    received = last = 0
    event_route = EventRoutes()

    @event_route(f"nats:{job.pattern}")
    def count(event: Event) -> None:
        nonlocal received, last
        received += 1
        last = perf_counter_ns()

    @event_route(f"nats:{REPORT_SUBJECT}")
    def on_report(event: Event) -> None:
        report(at=last, received=received)

    await _serve(reactor, job, event_route)
    await deferLater(reactor, job.timeout)
    return {}


def _route_names(job: Job) -> list[str]:
    # Each subject has a route of its own if there are enough routes.
    subjects = job.subject_names if job.routes >= job.subjects else [job.pattern]
    others = (f"other.{number}" if number % 10 else f"other.{number}.*" for number in range(job.routes))
    return [f"nats:{subject}" for subject in [*subjects, *others][: max(job.routes, len(subjects))]]


def _entries(job: Job) -> tuple[str, ...]:
    if job.role in ("publish", "request", "jetstream_consume", "jetstream_publish"):
        return ()
    subjects = {"entries": job.subject_names, "subscriptions": job.subject_names[:1]}.get(job.role, [job.pattern])
    own = [REPORT_SUBJECT] if job.role == "share" else []
    return (*(f"{subject}:{QUEUE_GROUP}" for subject in subjects), *own)


async def _serve(reactor: Any, job: Job, event_route: EventRoutes) -> tuple[NatsrouteService, list[str]]:
    service, notes = await _connect(reactor, job, event_route)
    report_ready()
    return service, notes


async def _connect(reactor: Any, job: Job, event_route: EventRoutes) -> tuple[NatsrouteService, list[str]]:
    notes: list[str] = []

    @event_route("nats:disconnected")
    def note(event: Event) -> None:
        notes.append(f"disconnected from {event.server}")

    settings: dict[str, Any] = {"nats_url": job.url, "subject_queue_group": _entries(job), **SETTINGS}
    if job.role == "jetstream_publish":
        settings["jetstream_publish"] = job.pattern
    if job.role == "jetstream_consume":
        settings["jetstream_consumer"] = f"{STREAM}:{DURABLE}"
    if job.ca_file:
        settings |= {"tls": 1, "tls_ca_file": job.ca_file}
    service = NatsrouteService(Settings(**settings), event_route, reactor=reactor, **ARGUMENTS)
    if job.role == "subscriptions":
        (consumer,) = service.consumers
        for subject in job.subject_names[1:]:
            consumer.connection.subscribe(subject, consumer.runner.on_msg, QUEUE_GROUP)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    while not service.connected:
        await deferLater(reactor, 0.01)
    return service, notes


async def _wait(reactor: Any, job: Job, ended: Deferred[int]) -> int:
    try:
        return await ended.addTimeout(job.timeout, reactor)
    except defer.TimeoutError:
        return perf_counter_ns()


async def _run(reactor: Any, job: Job, facts: Facts) -> None:
    facts.update(await ROLES[job.role](reactor, job))


ROLES: dict[str, Callable[[Any, Job], Awaitable[Facts]]] = {
    "consume": consume,
    "relay": relay,
    "pass_on": pass_on,
    "respond": respond,
    "publish": publish,
    "entries": consume,
    "subscriptions": consume,
    "share": share,
    "request": request,
    "jetstream_consume": jetstream_consume,
    "jetstream_publish": jetstream_publish,
}

PEER = Peer(
    f"natsroute ({implementation()} hot path), default settings", roles=(*ROLES, "step", "routes", "tls", "script")
)


def main() -> None:
    """Take the role of the job."""
    job = Job.read()
    # The service warns that it has no entries; a publisher needs none.
    has_entries = _entries(job) or job.role == "jetstream_consume"
    level = LogLevel.warn if has_entries else LogLevel.error
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(level)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    facts: Facts = {}
    try:
        react(lambda reactor: Deferred.fromCoroutine(_run(reactor, job, facts)))
    finally:
        report(**facts)  # after the shutdown, because the benchmark ends this process when it has the last report


if __name__ == "__main__":
    main()
