"""Runs event routes: for the messages of a subscription, and for a connection that comes and goes."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from natsroute.errors import NatsrouteError
from natsroute.ledger import RouteCounters
from natsroute.routes.calls import Calls, CallsInFlight
from natsroute.routes.concurrency import Lane, open_lane
from natsroute.routes.event import Event, EventContext, Publish
from natsroute.routes.table import CallInThread, Route

#: The route of a subject, or of the name of a connection event; or None.
FindRoute = Callable[[str], "Route | None"]
#: Through which lane a message goes, what its event is told, and where it is counted.
_Way = tuple[Lane, EventContext, RouteCounters]

# Bounds what is remembered: a wildcard subscription can see any number of different subjects.
_REMEMBERED_SUBJECTS = 8192


#: A server can complain faster than any route can listen.
MAX_WAITING_ERRORS = 1000


class UnroutedMessages:
    """Warns of the messages that no route takes, once for each configured subject."""

    log = Logger()

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def warn(self, configured: str, subject: str) -> None:
        """
        :param configured: the subject that was subscribed to.
        :param subject: the subject of the message.
        """
        if configured not in self._warned:
            self._warned.add(configured)
            self.log.warn(
                "No event route takes a message to {subject!r} (subject_queue_group {configured!r}): add a route "
                "'nats:{configured}'. It was counted; others of this subscription will be in silence",
                subject=subject,
                configured=configured,
            )


@attrs.frozen
class RunnerContext:
    """
    What it takes to run routes: the same for all of a service.

    :ivar publish: how they publish.
    :ivar clock: the reactor.
    :ivar call_in_thread: runs what blocks.
    :ivar in_flight: keeps the calls that take their time.
    :ivar unrouted: warns of messages that no route takes.
    """

    publish: Publish
    clock: IReactorTime
    call_in_thread: CallInThread
    in_flight: CallsInFlight
    unrouted: UnroutedMessages = attrs.Factory(UnroutedMessages)


class Runner:
    """
    Runs the routes of one subscription. Give :meth:`on_msg` to
    :meth:`natsroute.client.connection.Connection.subscribe`.

    :ivar unrouted: messages that no route took.
    """

    def __init__(self, find: FindRoute, context: RunnerContext, *, subject: str, queue_group: str | None) -> None:
        self.unrouted = 0
        self._find = find
        self._context = context
        self._subject = subject
        self._queue_group = queue_group
        self._ways: dict[str, _Way] = {}  # by the route's name
        self._way_of: dict[str, _Way | None] = {}  # by the message's subject

    @property
    def route_counters(self) -> list[RouteCounters]:
        """One for each route that has had a message."""
        return [counters for _, _, counters in self._ways.values()]

    def on_msg(self, event: Event) -> Deferred[None] | None:
        """
        Run the route of a message.

        :return: None when the next message may come, or a Deferred that fires when it may.
        """
        subject = event.address.subject
        try:
            way = self._way_of[subject]
        except KeyError:
            way = self._way_for(subject)
        if way is None:
            self.unrouted += 1
            self._context.unrouted.warn(self._subject, subject)
            return None
        lane, event.context, counters = way
        counters.routed += 1
        return lane(event)

    def _way_for(self, subject: str) -> _Way | None:
        if len(self._way_of) >= _REMEMBERED_SUBJECTS:
            self._way_of.clear()
        route = self._find(subject)
        way = self._way_of[subject] = None if route is None else self._way_through(route)
        return way

    def _way_through(self, route: Route) -> _Way:
        """The one way that all messages of a route go."""
        if route.name not in self._ways:
            context, counters = self._context, RouteCounters(route.name)
            calls = Calls(route.wrapped(context.call_in_thread), counters, context.in_flight)
            event_context = EventContext(context.publish, context.clock, counters, self._queue_group)
            self._ways[route.name] = open_lane(route, calls), event_context, counters
        return self._ways[route.name]


class ConnectionRunner:
    """
    Runs ``nats:connected``, ``nats:disconnected``, ``nats:error`` and ``nats:slow_consumer`` for one connection, one
    after the other.

    Errors that come while ``MAX_WAITING_ERRORS`` events wait for a slow route are left to the log, and so is all that
    comes when calls have been stopped.
    """

    def __init__(self, find: FindRoute, context: RunnerContext, *, queue_group: str | None = None) -> None:
        self._find = find
        self._context = context
        self._queue_group = queue_group
        self._calls: dict[str, Calls] = {}  # by the route's name
        self._last: Deferred[None] = succeed(None)

    @property
    def route_counters(self) -> list[RouteCounters]:
        """One for each route that has had an event."""
        return [calls.counters for calls in self._calls.values()]

    def fire(self, name: str, server: str, error: NatsrouteError | None = None) -> None:
        """
        Run the route of an event.

        :param name: ``nats:connected``, ``nats:disconnected``, ``nats:error`` or ``nats:slow_consumer``.
        :param server: the server's URL without credentials.
        :param error: what is wrong, for the last two.
        """
        calls = self._calls_of(name)
        if calls is None or self._context.in_flight.stopped:
            return
        if error is not None and sum(counters.waiting for counters in self.route_counters) >= MAX_WAITING_ERRORS:
            return
        context, counters = self._context, calls.counters
        event = Event.of_connection(
            EventContext(context.publish, context.clock, counters, self._queue_group, server, error)
        )

        def run(_: None) -> Deferred[None] | None:
            counters.waiting -= 1
            return calls.call(event)

        counters.routed += 1
        counters.waiting += 1
        self._last.addCallback(run)

    def _calls_of(self, name: str) -> Calls | None:
        if name not in self._calls:
            route = self._find(name)
            if route is None:
                return None
            function = route.wrapped(self._context.call_in_thread)
            self._calls[name] = Calls(function, RouteCounters(name), self._context.in_flight)
        return self._calls[name]
