"""Names and wildcards to the functions that run for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred

from natsroute.errors import RouteError, SubjectError
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware import compose, dead_letter, retry, timeout
from natsroute.wire.subjects import check_pattern, is_wildcard, overlaps

PREFIX = "nats:"
CONNECTED = "nats:connected"
DISCONNECTED = "nats:disconnected"
ERROR = "nats:error"
SLOW_CONSUMER = "nats:slow_consumer"

#: Runs a blocking function in a thread.
CallInThread = Callable[[RouteFunction, Event], "Deferred[object]"]
#: Gives the key that a message is ordered by.
KeyFunction = Callable[[Event], Hashable]

_AnyFunction = TypeVar("_AnyFunction", bound=RouteFunction)

#: How many keys run at once when a route has ``key`` and no ``concurrency``.
DEFAULT_KEY_CONCURRENCY = 64


@attrs.frozen
class Route:
    """
    An event route.

    :ivar name: ``nats:`` and the subject or wildcard that it is for.
    :ivar concurrency: messages that may run at once; 1 means one after the other with all of its subscription.
    :ivar key: messages with the same key run one after the other, others beside them.
    :ivar thread: whether it runs in a thread, because it blocks.
    :ivar middleware: what is around it, the first outermost.
    """

    name: str
    function: RouteFunction
    concurrency: int = 1
    key: KeyFunction | None = None
    thread: bool = False
    middleware: tuple[Middleware, ...] = ()

    @property
    def pattern(self) -> str:
        """The subject or wildcard that it is for."""
        return self.name[len(PREFIX) :]

    def wrapped(self, call_in_thread: CallInThread) -> RouteFunction:
        """Its function with all middleware around it, and in a thread if it asks for one."""
        function = partial(call_in_thread, self.function) if self.thread else self.function
        return compose(function, self.middleware)


class EventRoutes:
    """
    The event routes of a program, collected by decoration::

        event_route = EventRoutes()

        @event_route("nats:Kamailio-World")
        async def dialog(event):
            await event.publish("presence.dialog", event.data)

    A route's name is ``nats:`` and a subject, which may hold wildcards, or one of ``nats:connected``,
    ``nats:disconnected``, ``nats:error`` and ``nats:slow_consumer``, which fire for each connection. Of several routes
    that match a message the best one runs: the exact subject, else the most specific wildcard, compared token by token
    from the left (a word before ``*`` before ``>``).

    :param middleware: around every route that is decorated with it, the first outermost; see
        :mod:`natsroute.routes.middleware`.
    """

    def __init__(self, middleware: Iterable[Middleware] = ()) -> None:
        self._middleware = tuple(middleware)
        self._routes: dict[str, Route] = {}

    def __call__(
        self,
        name: str,
        *,
        concurrency: int | None = None,
        key: KeyFunction | None = None,
        thread: bool = False,
        timeout: float | None = None,
        retries: int = 0,
        dead_letter: str | None = None,
        middleware: Iterable[Middleware] = (),
    ) -> Callable[[_AnyFunction], _AnyFunction]:
        """
        Make the decorated function an event route. It is given an :class:`~natsroute.Event` and may return a Deferred
        or be a coroutine function; the next message of its subscription comes when it has ended.

        :param name: ``nats:SUBJECT``.
        :param concurrency: so many messages of a subscription may run at once, in no particular order; with ``key``,
            so many keys (64 if left out).
        :param key: gives the key of an event, as a Call-ID: in order for each key, parallel across keys.
        :param thread: run it in a thread, because it blocks. Publishing is safe there; see
            :meth:`natsroute.publishing.publisher.Publisher.publish`.
        :param timeout: seconds after which a call is cancelled, and fails.
        :param retries: calls at most after one that failed, 0.1 s later, 0.2 s later and so on up to 10 s.
        :param dead_letter: the subject that a message is published to when all that has failed.
        :param middleware: around this route, within that of the collection and outside of the three above.
        :raises RouteError: the name or the options cannot be, or there is such a route already.
        """
        layers = (*self._middleware, *middleware, *_options(name, timeout, retries, dead_letter))

        def decorate(function: _AnyFunction) -> _AnyFunction:
            many = concurrency if concurrency is not None else (1 if key is None else DEFAULT_KEY_CONCURRENCY)
            self.add(Route(name, function, many, key, thread, layers))
            return function

        return decorate

    def add(self, route: Route) -> None:
        """
        Add a route; what decoration does.

        :raises RouteError: it cannot be, or there is one of its name already.
        """
        _check(route)
        if route.name in self._routes:
            raise RouteError(f"there are two event routes {route.name!r}: leave one of them out")
        self._routes[route.name] = route

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __len__(self) -> int:
        return len(self._routes)

    @classmethod
    def merged(cls, collections: Iterable[EventRoutes]) -> EventRoutes:
        """
        All routes of several collections in one.

        :raises RouteError: two of them have a route of the same name.
        """
        together = cls()
        for collection in collections:
            for route in collection:
                together.add(route)
        return together


def _options(name: str, seconds: float | None, retries: int, letters: str | None) -> Iterator[Middleware]:
    """A route's options as the middleware that they are short for, the outermost first."""
    try:
        if letters is not None:
            yield dead_letter(letters)
            if name == PREFIX + letters:
                raise RouteError(f"dead_letter = {letters!r}: the route would get its own dead letters")
        if retries:
            yield retry(retries)
        if seconds is not None:
            yield timeout(seconds)
    except RouteError as error:
        raise RouteError(f"event route {name!r}: {error}") from None


def _check(route: Route) -> None:
    if not route.name.startswith(PREFIX):
        raise RouteError(f"event route {route.name!r}: its name must be 'nats:' and a subject")
    try:
        check_pattern(route.pattern)
    except SubjectError as error:
        raise RouteError(f"event route {route.name!r}: {error}") from None
    if not callable(route.function):
        raise RouteError(f"event route {route.name!r}: {route.function!r} cannot be called")
    if type(route.concurrency) is not int or route.concurrency < 1:
        raise RouteError(f"event route {route.name!r}: concurrency = {route.concurrency!r}; it must be 1 or more")
    if route.key is not None and not callable(route.key):
        raise RouteError(f"event route {route.name!r}: key = {route.key!r} cannot be called")
    try:
        compose(route.function, route.middleware)
    except Exception as error:  # such as middleware that must be called first: deduplicate for deduplicate()
        raise RouteError(f"event route {route.name!r}: its middleware cannot be used: {error}") from None
    if route.thread and inspect.iscoroutinefunction(route.function):
        raise RouteError(f"event route {route.name!r}: a coroutine function runs on the reactor, not in a thread")


class RouteTable:
    """
    Finds the route of a subject.

    Wildcards stand in a tree of their tokens. Walked word first, then ``*``, then ``>``, it gives the most specific
    match first, however many routes there are.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = {route.pattern: route for route in routes}
        self._tree: dict[str, Any] = {}
        for pattern, route in self._routes.items():
            if is_wildcard(pattern):
                node = self._tree
                for token in pattern.split("."):
                    node = node.setdefault(token, {})
                node[""] = route  # no token is empty

    def find(self, subject: str) -> Route | None:
        """The best route for a subject, or None."""
        exact = self._routes.get(subject)
        return self._walk(self._tree, subject.split("."), 0) if exact is None else exact

    def get(self, name: str) -> Route | None:
        """The route of exactly this name, or None."""
        return self._routes.get(name[len(PREFIX) :])

    def _walk(self, node: dict[str, Any], tokens: list[str], depth: int) -> Route | None:
        if depth == len(tokens):
            found: Route | None = node.get("")
            return found
        for step in (tokens[depth], "*"):
            if step in node:
                found = self._walk(node[step], tokens, depth + 1)
                if found is not None:
                    return found
        rest: Route | None = node[">"][""] if ">" in node else None
        return rest

    def for_subscription(self, pattern: str) -> list[Route]:
        """The routes that some message of a subscription can reach."""
        return [route for route in self._routes.values() if overlaps(route.pattern, pattern)]
