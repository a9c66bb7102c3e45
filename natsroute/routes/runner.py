"""Running event routes: for the messages of a subscription, and for the events of a connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from natsroute.errors import NatsrouteError
from natsroute.hot import Way
from natsroute.ledger import RouteCounters
from natsroute.log import Logger
from natsroute.routes.acknowledging import StreamConsumer
from natsroute.routes.calls import Calls
from natsroute.routes.concurrency import calls_of, unchanged
from natsroute.routes.event import (
    Event,
    EventContext,
    Expressions,
    Middleware,
)
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.message_tracing import MessageTracing
from natsroute.routes.outgoing import Answer, NoRequests, Publish, PublishAll, RefusePublish, Requests, no_publish_all
from natsroute.routes.route import CallInThread, Route
from natsroute.routes.unrouted import UnroutedMessages

#: Finds the route for a subject, or for a name; returns None if there is none.
FindRoute = Callable[[str], "Route | None"]

#: Connection events with an error that may wait for a slow route: a server can report errors faster than it handles
#: them.
MAX_WAITING_ERRORS = 1000

# Subjects whose route is remembered. It is bounded because the subjects that a wildcard subscription sees are not.
_REMEMBERED_SUBJECTS = 8192


def _no_limit() -> None:
    """There is always space for another call."""


@attrs.frozen
class RunnerContext:
    """
    What all runners of a service have in common.

    :ivar publish: publishes for the routes.
    :ivar clock: the reactor.
    :ivar call_in_thread: runs functions that block.
    :ivar in_flight: keeps the calls that do not end at once.
    :ivar unrouted: warns of messages that no route matches.
    :ivar thread_space: returns None if another call may wait for a thread, else a Deferred that fires when it may.
    :ivar publish_for: gives the ``publish`` of the route with this name, for all routes; instead of ``publish``.
    :ivar reject_for: gives what fails the Deferreds of messages that the route with this name cannot publish.
    :ivar outermost: goes around all middleware of each route for messages.
    :ivar tracing: traces messages, for a TracedRunner.
    :ivar requests: sends requests for the routes.
    :ivar stream: acknowledges the messages, if they come from a JetStream consumer; else None.
    :ivar answer: answers messages without a confirmation; None: answers are published as anything else.
    :ivar publish_all: publishes batches for the routes.
    """

    publish: Publish
    clock: IReactorTime
    call_in_thread: CallInThread
    in_flight: CallsInFlight
    unrouted: UnroutedMessages = attrs.Factory(UnroutedMessages)
    thread_space: Callable[[], Deferred[None] | None] = _no_limit
    publish_for: Callable[[str], Publish] | None = None
    reject_for: Callable[[str], RefusePublish] = lambda route: fail
    outermost: Middleware = unchanged
    tracing: MessageTracing | None = None
    requests: Requests = NoRequests()
    answer: Answer | None = None
    stream: StreamConsumer | None = None
    publish_all: PublishAll = no_publish_all

    def publish_of(self, route: str) -> Publish:
        """What publishes for one route."""
        return self.publish if self.publish_for is None else self.publish_for(route)


#: Runs the route for a message: see :meth:`Runner.on_msg`.
OnEvent = Callable[[Event], "Deferred[None] | None"]

#: Takes what messages are handed to: see :meth:`natsroute.client.subscription.Subscription.hand_to`.
HandTo = Callable[..., None]

#: A route that has had a message of this subscription: what runs it for an event (now or later, see
#: :meth:`Runner.on_msg`), what its events have in common, and its counters. A tuple, because each message reads all
#: three.
ActiveRoute = tuple[OnEvent, EventContext, RouteCounters]


class Runner:
    """
    Runs the routes for the messages of one subscription. Pass :meth:`on_msg` to
    :meth:`natsroute.client.connection.Connection.subscribe`, and what hands messages over to :meth:`receive_from`.

    :param find: finds the route for a subject.
    :param subject: the subject of the subscription.
    :param queue_group: its queue group, or None.
    :param expressions: evaluates pseudo-variables for its events.
    :param version: stands for the version of the code.

    :ivar unrouted: how many messages no route matched.
    """

    log = Logger()

    def __init__(
        self,
        find: FindRoute,
        context: RunnerContext,
        *,
        subject: str,
        queue_group: str | None,
        expressions: Expressions | None = None,
        version: object = None,
    ) -> None:
        self.unrouted = 0
        self._hand_to: HandTo = lambda on_msg, ways, only_without_headers=False: None
        self._find = find
        self._context = context
        self._subject = subject
        self._queue_group = queue_group
        self._expressions = expressions
        self._version = version
        self._active: dict[str, ActiveRoute] = {}  # by the route's name
        self._calls: dict[str, Calls] = {}  # the same, and
        self._counters: dict[str, RouteCounters] = {}  # those of routes that are no longer there, too
        self._former: list[tuple[object, str, Calls]] = []  # version, name, and what has not ended there
        self._for_subject: dict[str, ActiveRoute | None] = {}  # by the message's subject
        self._ways: dict[str, Way] = {}  # the same, for routes whose function can be called at once

    @property
    def route_counters(self) -> list[RouteCounters]:
        """The counters of each route that has had a message."""
        return list(self._counters.values())

    def receive_from(self, hand_to: HandTo) -> None:
        """Let messages take shorter ways than :meth:`on_msg`, where that is possible. They may change later."""
        self._hand_to = hand_to
        hand_to(self.on_msg, self._ways)

    def on_msg(self, event: Event) -> Deferred[None] | None:
        """
        Run the route for a message.

        :return: None if the next message may come at once, or a Deferred that fires when it may.
        """
        subject = event.address.subject
        try:
            route = self._for_subject[subject]
        except KeyError:
            route = self._find_for(subject)
        if route is None:
            self._drop(event)
            return None
        call, event.context, counters = route
        counters.routed += 1  # the counters belong to the calls; a method there would cost each message a call
        return call(event)

    def _drop(self, event: Event) -> None:
        """No route matches. The message of a stream is not lost: another process may have a route for it."""
        self.unrouted += 1
        if self._context.stream is None:
            self._context.unrouted.warn(self._subject, event.subject)
        elif self._context.stream.is_replay:
            self._context.unrouted.warn_of_replay(self._subject, event.subject)
        else:
            self._context.unrouted.warn_of_stream(self._subject, event.subject)
            self._context.stream.unrouted(event)

    def hand_back(self) -> None:
        """Give the messages of a stream back that wait here for their calls: none will begin."""
        stream = self._context.stream
        assert stream is not None
        for calls in (*self._calls.values(), *(calls for _, _, calls in self._former)):
            for event in calls.take_waiting():
                calls.counters.handed_back += 1
                stream.hand_back(event)

    def must_wait(self, get: FindRoute) -> bool:
        """
        Whether calls that run must end before the runner may go over to a new version of the code. While this is
        waited for, the subscription must be held.

        :param get: finds the route with a name in the new version.
        """
        for name, calls in (*self._calls.items(), *((name, calls) for _, name, calls in self._former)):
            route = get(name)
            if route is not None and calls.must_end_before(route):
                return True
        return False

    def go_over(self, find: FindRoute, get: FindRoute, expressions: Expressions | None, version: object) -> None:
        """
        Run the next message in a new version of the code. Calls that run end as they began.

        :param find: finds the route for a subject in the new version.
        :param get: finds the route with a name in it.
        :param expressions: evaluates pseudo-variables for its events.
        :param version: stands for it.
        """
        former = [*self._former, *((self._version, name, calls) for name, calls in self._calls.items())]
        self._find, self._expressions, self._version = find, expressions, version
        self._active, self._calls, self._former = {}, {}, []
        self._forget_subjects()
        for one, name, calls in former:
            try:
                route = get(name) if calls.is_busy else None
                if route is not None:
                    _, event_context, _ = self._activate(route)
                    self._calls[name].take_over(calls, event_context)
            except Exception:  # middleware of the program may raise; what waits then runs in the former version
                self.log.failure("The new version of event route {route} cannot follow the former one", route=name)
            self._keep_if_busy(one, name, calls)

    def _keep_if_busy(self, version: object, name: str, calls: Calls) -> None:
        if calls.is_busy:
            self._former.append((version, name, calls))
        else:
            calls.forget()

    def has_left(self, version: object) -> bool:
        """Whether nothing that was queued in a former version is left to be called there."""
        former, self._former = self._former, []
        for one in former:
            self._keep_if_busy(*one)
        return version is not self._version and all(one is not version for one, _, _ in self._former)

    def _find_for(self, subject: str) -> ActiveRoute | None:
        if len(self._for_subject) >= _REMEMBERED_SUBJECTS:
            self._forget_subjects()
        route = self._find(subject)
        active = self._for_subject[subject] = None if route is None else self._activate(route)
        if route is not None and not route.thread and self._calls[route.name].is_plain:
            self._ways[subject] = self._calls[route.name]
        return active

    def _forget_subjects(self) -> None:
        self._for_subject.clear()
        self._ways.clear()

    def _outermost(self, route: Route) -> Middleware:
        """What goes around all middleware of a route."""
        return self._context.outermost

    def _activate(self, route: Route) -> ActiveRoute:
        """All messages to a route, whatever their subject, share its concurrency and its counters."""
        if route.name not in self._active:
            context, counters = self._context, self._counters.setdefault(route.name, RouteCounters(route.name))
            acknowledgement = None if context.stream is None else context.stream.for_route(route.ack)
            calls = calls_of(
                route, context.call_in_thread, counters, context.in_flight, self._outermost(route), acknowledgement
            )
            context.in_flight.code.add(route)
            event_context = EventContext(
                context.publish_of(route.name),
                context.clock,
                counters,
                self._queue_group,
                reject=context.reject_for(route.name),
                expressions=self._expressions,
                version=self._version,
                requests=context.requests,
                answer=context.answer,
                acknowledgement=acknowledgement,
                publish_all=context.publish_all,
            )
            calls.context = event_context
            call = partial(_call_with_room, calls.call, context.thread_space) if route.thread else calls.call
            self._calls[route.name] = calls
            self._active[route.name] = call, event_context, counters
        return self._active[route.name]


def _call_with_room(
    call: Callable[[Event], Deferred[None] | None], space: Callable[[], Deferred[None] | None], event: Event
) -> Deferred[None] | None:
    """Call a function that runs in a thread. While too many calls wait for one, the subscription waits too."""
    ended, has_space = call(event), space()
    if has_space is None:
        return ended
    if ended is None:
        return has_space
    return ended.addCallback(lambda _: has_space)


class ConnectionRunner:
    """
    Runs the routes ``nats:connected``, ``nats:disconnected``, ``nats:error`` and ``nats:slow_consumer`` for one
    connection, one after the other.

    While ``MAX_WAITING_ERRORS`` events wait for a slow route, further errors run no route; they are in the log. No
    route begins after :meth:`CallsInFlight.stop() <natsroute.routes.in_flight.CallsInFlight.stop>`.

    :param find: finds the route for the name of a connection event.
    :param queue_group: the queue group of the connection's subscription, or None.
    :param expressions: evaluates pseudo-variables for its events.
    """

    def __init__(
        self,
        find: FindRoute,
        context: RunnerContext,
        *,
        queue_group: str | None = None,
        expressions: Expressions | None = None,
        version: object = None,
    ) -> None:
        self._find = find
        self._context = context
        self._queue_group = queue_group
        self._expressions = expressions
        self._version = version
        self._calls: dict[str, Calls] = {}  # by the route's name
        self._counters: dict[str, RouteCounters] = {}
        self._former: list[object] = []  # versions in which an event may still run
        self._last: Deferred[None] = succeed(None)

    @property
    def route_counters(self) -> list[RouteCounters]:
        """The counters of each route that has had an event."""
        return list(self._counters.values())

    def go_over(self, find: FindRoute, expressions: Expressions | None, version: object) -> None:
        """
        Run the next event in a new version of the code; one that waits as well, unless its route is no longer there.

        :param find: finds the route for the name of a connection event in the new version.
        :param expressions: evaluates pseudo-variables for its events.
        :param version: stands for it.
        """
        former = self._version
        self._former.append(former)
        self._last.addCallback(lambda _: self._former.remove(former))
        self._find, self._expressions, self._version = find, expressions, version
        self._calls = {}

    def has_left(self, version: object) -> bool:
        """Whether no event will run in a version any more."""
        return version is not self._version and all(former is not version for former in self._former)

    def fire(self, name: str, server: str, error: NatsrouteError | None = None) -> None:
        """
        Run the route for a connection event.

        :param name: ``nats:connected``, ``nats:disconnected``, ``nats:error`` or ``nats:slow_consumer``.
        :param server: the server's URL without credentials.
        :param error: for the last two, what went wrong.
        """
        calls = self._calls_of(name)
        if calls is None or self._context.in_flight.stopped:
            return
        if error is not None and sum(counters.waiting for counters in self.route_counters) >= MAX_WAITING_ERRORS:
            return
        context = self._context
        event = Event.of_connection(
            EventContext(
                context.publish_of(calls.counters.route),
                context.clock,
                calls.counters,
                self._queue_group,
                server,
                error,
                context.reject_for(calls.counters.route),
                self._expressions,
                version=self._version,
                requests=context.requests,
                publish_all=context.publish_all,
            )
        )
        calls.enqueue()
        # Not in the context of whatever ended the call before.
        self._last.addCallback(lambda _: context.in_flight.context.copy().run(self._call_queued, name, calls, event))

    def _call_queued(self, name: str, calls: Calls, event: Event) -> Deferred[None] | None:
        if event.context.version is not self._version:
            current = self._calls_of(name)
            if current is not None:
                calls = current
                event.context = attrs.evolve(event.context, expressions=self._expressions, version=self._version)
        return calls.call_queued(event)

    def _calls_of(self, name: str) -> Calls | None:
        if name not in self._calls:
            route = self._find(name)
            if route is None:
                return None
            function = route.wrapped(self._context.call_in_thread)
            self._context.in_flight.code.add(route)
            counters = self._counters.setdefault(name, RouteCounters(name))
            self._calls[name] = Calls(function, counters, self._context.in_flight)
        return self._calls[name]
