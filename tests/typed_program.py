"""
A program that uses natsroute, with types. mypy checks it in strict mode, here (pyproject.toml) and as a project of its
own would (:mod:`tests.integration.test_snippets`).

Each ``type: ignore`` is a mistake that mypy must find: it reports those that ignore nothing.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from natsroute import Credentials, Event, EventRoutes, NatsrouteService, Settings
from natsroute.errors import PublishError, ServerError
from natsroute.middleware import (
    Middleware,
    RouteFunction,
    correlation,
    dead_letter,
    deduplicate,
    message_id,
    retry,
    throttle,
    timeout,
)
from natsroute.testing import Published, RouteTester

log = Logger()


# -- middleware ------------------------------------------------------------------------------------------------------


def timed(function: RouteFunction) -> RouteFunction:
    """Middleware that is a coroutine function."""

    async def around(event: Event) -> object:
        started = event.clock.seconds()
        try:
            return await maybeDeferred(function, event)
        finally:
            log.info("{route} took {seconds} s", route=event.name, seconds=event.clock.seconds() - started)

    return around


def delayed(seconds: float) -> Middleware:
    """Middleware with an argument, which returns a Deferred, or what the function returned."""

    def around(function: RouteFunction) -> RouteFunction:
        def later(event: Event) -> object:
            if event.attempts > 1 or event.server is not None:
                return function(event)
            event.counters.retried += 1
            return deferLater(event.clock, seconds, maybeDeferred, function, event)

        return later

    return around


event_route = EventRoutes(middleware=[timed, correlation("X-Call-ID")])


# -- routes ----------------------------------------------------------------------------------------------------------


@event_route("nats:calls.*", key=lambda event: event.json()["Call-ID"], concurrency=20, timeout=5.0, retries=3)
async def call(event: Event) -> None:
    """A coroutine function."""
    try:
        await event.publish("presence", {"state": "up"}, headers={"A": "1", "B": ["2", "3"]}, policy="fail", msg_id="1")
        await event.respond(lambda: "made in the pool", {"A": "1"}, policy="drop")
    except PublishError as error:
        log.warn("{error}", error=error)


@event_route("nats:events", thread=True, middleware=[deduplicate(key=message_id, max_messages=5), throttle(100)])
def blocking(event: Event) -> int:
    """A function that Kamailio would call."""
    event.nats_publish("copy", event.data, event.reply)
    return 1


@event_route("nats:orders", middleware=[delayed(1.0), dead_letter("dead"), retry(3, max_wait=1.0), timeout(5)])
def chained(event: Event) -> Deferred[None]:
    """A function that returns a Deferred."""
    return event.publish(event.headers.get("Answer-To", "answers"), event.text())


@event_route("nats:error")
def failed(event: Event) -> None:
    """A connection event."""
    if isinstance(event.error, ServerError):
        log.warn("{server}: {text}", server=event.server, text=event.error.text)


def mistakes() -> None:
    """Mistakes that mypy finds before natsroute does."""

    @event_route("nats:key", key=5)  # type: ignore[arg-type]
    def key_is_no_function(event: Event) -> None: ...

    @event_route("nats:no.event")  # type: ignore[type-var]
    def no_event() -> None: ...

    EventRoutes(middleware=[deduplicate])  # type: ignore[list-item]


# -- the service, and tests ------------------------------------------------------------------------------------------


async def ask_the_vault() -> Credentials:
    """Credentials that change."""
    return Credentials(user="natsroute", password="...")


def build() -> NatsrouteService:
    """A service for an application."""
    settings = Settings(nats_url="nats://127.0.0.1:4222", subject_queue_group=["calls.*:q"])
    service = NatsrouteService(settings, event_route, credentials=ask_the_vault)
    log.info("{count} calls are running", count=len(service.in_flight.running))
    return service


def call_it(event: Event) -> int:
    """A decorated function keeps its type."""
    return blocking(event)


async def try_it() -> list[Published]:
    """What a test does."""
    tester = RouteTester(event_route)
    await tester.deliver("calls.1", {"Call-ID": "1"}, reply="inbox", headers={"A": ["1"]}, queue_group="q")
    tester.clock.advance(1.0)
    await tester.error(ServerError("no"))
    await tester.deliver(1)  # type: ignore[arg-type]
    return tester.published
