"""Runs event routes: for the messages of a subscription, and for a connection that comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from natsroute.errors import ServerError
from natsroute.routes.calls import Calls
from natsroute.routes.event import Event, Publish, Scope
from natsroute.routes.lanes import Lane, open_lane
from natsroute.routes.table import Route, RouteFunction

#: The route of a subject, or of the name of a connection event; or None.
FindRoute = Callable[[str], "Route | None"]
#: Through which lane a message goes, and what its event is told.
_Way = tuple[Lane, Scope]
#: Runs a blocking function in a thread.
CallInThread = Callable[[RouteFunction, Event], "Deferred[object]"]

# Bounds what is remembered: a wildcard subscription can see any number of different subjects.
_REMEMBERED_SUBJECTS = 8192


#: A server can complain faster than any route can listen.
MOST_WAITING_ERRORS = 1000


class UnroutedMessages:
    """Counts the messages that no route takes, and warns once for each configured subject."""

    log = Logger()

    def __init__(self) -> None:
        self.count = 0
        self._warned: set[str] = set()

    def add(self, configured: str, subject: str) -> None:
        """
        :param configured: the subject that was subscribed to.
        :param subject: the subject of the message.
        """
        self.count += 1
        if configured not in self._warned:
            self._warned.add(configured)
            self.log.warn(
                "No event route takes a message to {subject!r} (subject_queue_group {configured!r}): add a route "
                "'nats:{configured}'. It was counted; others of this subscription will be in silence",
                subject=subject,
                configured=configured,
            )


def _what_to_call(route: Route, call_in_thread: CallInThread) -> RouteFunction:
    """The route's function, or what runs it in a thread."""
    return partial(call_in_thread, route.function) if route.thread else route.function


class Runner:
    """
    Runs the routes of one subscription. Give :meth:`on_msg` to
    :meth:`natsroute.client.connection.Connection.subscribe`.
    """

    def __init__(
        self,
        find: FindRoute,
        *,
        subject: str,
        queue_group: str | None,
        publish: Publish,
        calls: Calls,
        call_in_thread: CallInThread,
        unrouted: UnroutedMessages,
    ) -> None:
        self._find = find
        self._subject = subject
        self._queue_group = queue_group
        self._publish = publish
        self._calls = calls
        self._call_in_thread = call_in_thread
        self._unrouted = unrouted
        self._ways: dict[str, _Way] = {}  # by the route's name
        self._way_of: dict[str, _Way | None] = {}  # by the message's subject

    def on_msg(self, event: Event) -> Deferred[None] | None:
        """
        Run the route of a message.

        :return: None when the next message may come, or a Deferred that fires when it may.
        """
        subject = event.line.subject
        try:
            way = self._way_of[subject]
        except KeyError:
            way = self._way_for(subject)
        if way is None:
            self._unrouted.add(self._subject, subject)
            return None
        lane, event.scope = way
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
            function = _what_to_call(route, self._call_in_thread)
            scope = Scope(route.name, self._publish, self._queue_group)
            self._ways[route.name] = open_lane(route, function, self._calls), scope
        return self._ways[route.name]


class ConnectionRunner:
    """
    Runs ``nats:connected``, ``nats:disconnected`` and ``nats:error`` for one connection, one after the other.

    Errors that come while ``MOST_WAITING_ERRORS`` events wait for a slow route are left to the log.
    """

    def __init__(
        self,
        find: FindRoute,
        *,
        publish: Publish,
        calls: Calls,
        call_in_thread: CallInThread,
        queue_group: str | None = None,
    ) -> None:
        self._find = find
        self._publish = publish
        self._calls = calls
        self._call_in_thread = call_in_thread
        self._queue_group = queue_group
        self._last: Deferred[None] = succeed(None)
        self._waiting = 0

    def fire(self, name: str, server: str, error: ServerError | None = None) -> None:
        """
        Run the route of an event.

        :param name: ``nats:connected``, ``nats:disconnected`` or ``nats:error``.
        :param server: the server's URL without credentials.
        :param error: what the server said, for ``nats:error``.
        """
        route = self._find(name)
        if route is None or (error is not None and self._waiting >= MOST_WAITING_ERRORS):
            return
        event = Event.of_connection(name, self._publish, server, self._queue_group, error)
        function = _what_to_call(route, self._call_in_thread)

        def run(_: None) -> Deferred[None] | None:
            self._waiting -= 1
            return self._calls.call(function, event)

        self._waiting += 1
        self._last.addCallback(run)
