"""The event routes of a program, collected by decoration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from natsroute.errors import RouteError, SubjectError
from natsroute.routes.ack_policy import AckPolicy
from natsroute.routes.endpoint import Endpoint, endpoint_name
from natsroute.routes.event import Middleware, RouteFunction
from natsroute.routes.hooks import AnyHook, Hooks
from natsroute.routes.key_value_event import KeyValueEvent
from natsroute.routes.middleware.dead_letter import dead_letter
from natsroute.routes.middleware.retry import retry
from natsroute.routes.middleware.timeout import timeout
from natsroute.routes.route import PREFIX, KeyFunction, Route
from natsroute.routes.signatures import AtCallersLine, check_function
from natsroute.wire.subjects import check_subject

#: How many keys run at once when a route has a ``key`` and no ``concurrency``.
DEFAULT_KEY_CONCURRENCY = 64

# A route of a bucket is called with a KeyValueEvent only, so its function need not take another event.
_AnyFunction = TypeVar("_AnyFunction", bound=RouteFunction | Callable[[KeyValueEvent], object])


class EventRoutes:
    """
    The event routes of a program, collected by decoration::

        event_route = EventRoutes()

        @event_route("nats:Kamailio-World")
        async def dialog(event):
            await event.publish("presence.dialog", event.data)

    The name of a route is ``nats:`` and a subject, which may have wildcards, or the name of a connection event:
    ``nats:connected``, ``nats:disconnected``, ``nats:error`` or ``nats:slow_consumer``. Connection events run for each
    connection. A route named ``kv:``, a key-value bucket, ``:`` and a pattern of keys runs for changes of the bucket,
    with a :class:`~natsroute.KeyValueEvent`.

    If several routes match a message, the best one runs: the exact subject, else the most specific wildcard. Wildcards
    are compared token by token from the left; a word is better than ``*``, and ``*`` is better than ``>``.

    :meth:`on_start` and :meth:`on_stop` decorate functions that run when the service starts and stops.

    :param middleware: goes around every route of this collection, the first outermost; see
        :mod:`natsroute.middleware`.
    :param group: what the subjects of this collection begin with: with the group ``calc``, the route ``nats:add`` is
        for the subject ``calc.add``. It is the group of its endpoints in a service (NATS ADR-32). A collection with a
        group has no routes for connection events.
    :raises RouteError: the group is not a subject.

    :ivar hooks: the functions that run at the start and at the stop, for each collection that this one is merged from.
    """

    def __init__(self, middleware: Iterable[Middleware] = (), *, group: str = "") -> None:
        self._middleware = tuple(middleware)
        self._group = _checked_group(group)
        self._routes: dict[str, Route] = {}
        self._own_hooks = Hooks()
        self.hooks = [self._own_hooks]

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
        responds: bool = False,
        endpoint: Endpoint | None = None,
        ack: AckPolicy = "after",
        middleware: Iterable[Middleware] = (),
    ) -> Callable[[_AnyFunction], _AnyFunction]:
        """
        Make the decorated function an event route. The function itself is not changed.

        The function is called with an :class:`~natsroute.Event`. It may return a Deferred, or be a coroutine function.
        The next message of its subscription is handled when the call has ended.

        :param name: ``nats:SUBJECT`` or ``kv:BUCKET:KEYS``.
        :param concurrency: how many messages of a subscription may run at once, in no particular order; with ``key``,
            how many keys (64 by default).
        :param key: returns the key of an event, such as its Call-ID. Messages with the same key run one after the
            other, those with different keys at the same time.
        :param thread: run the function in a thread, because it blocks. It may publish there; see
            :meth:`natsroute.publishing.publisher.Publisher.publish`.
        :param timeout: seconds. A call that takes longer is cancelled and fails.
        :param retries: how many calls may follow one that failed: 0.1 s later, 0.2 s later and so on up to 10 s. For
            a message of a stream, the server waits and delivers it again.
        :param dead_letter: the subject that a message is published to when its last call has failed.
        :param responds: what the function returns is the answer to the message: bytes, a string as UTF-8, anything else
            as JSON, None as an empty payload. A call that fails after all retries is answered, too, with the headers
            ``Nats-Service-Error`` and ``Nats-Service-Error-Code``. A message without a reply subject has no answer.
        :param endpoint: with ``responds``, the name and the metadata that the endpoint has if the program is announced
            as a service. Without it, the name is made from the subject.
        :param ack: when a message of a stream is acknowledged: ``"after"`` the call has succeeded; ``"before"`` it, so
            that it never comes again; ``"double"``: after it, and the server confirms that; or ``"manual"``: the route
            calls ``event.ack()``, ``nak()`` or ``term()``. For other messages it means nothing.
        :param middleware: goes around this route: inside ``dead_letter`` and the middleware of the collection, outside
            ``retries`` and ``timeout``.
        :raises RouteError: the name or an option is not valid, or another route has the name.
        """
        with AtCallersLine():
            if not isinstance(name, str):
                raise RouteError(f"{name!r} is not the name of an event route. Write @event_route('nats:SUBJECT')")
            if self._group and name.startswith(PREFIX):
                if responds and (endpoint is None or not endpoint.name):
                    own = endpoint_name(name[len(PREFIX) :])
                    endpoint = Endpoint(own) if endpoint is None else Endpoint(own, endpoint.metadata)
                name = f"{PREFIX}{self._group}.{name[len(PREFIX) :]}"
            around = (
                *_dead_letter_middleware(name, dead_letter),
                *self._middleware,
                *middleware,
                *_option_middleware(name, timeout, retries),
            )

        def decorate(function: _AnyFunction) -> _AnyFunction:
            limit = concurrency if concurrency is not None else (1 if key is None else DEFAULT_KEY_CONCURRENCY)
            called: Any = function
            self.add(Route(name, called, limit, key, thread, around, responds=responds, endpoint=endpoint, ack=ack))
            return function

        return decorate

    def on_start(self, function: AnyHook) -> AnyHook:
        """
        Run the decorated function when the service starts, before the first message is handled.

        It is called with the service, a :class:`~natsroute.RunningService`, and may publish. It may return a Deferred,
        or be a coroutine function. If it fails, the service does not start. Several functions run one after the other.

        :raises RouteError: it is not a function.
        """
        self._own_hooks.on_start.append(_checked_hook("on_start", function))
        return function

    def on_stop(self, function: AnyHook) -> AnyHook:
        """
        Run the decorated function when the service stops, after the last message has been handled. What it publishes is
        confirmed before the service has stopped.

        It is called like that of :meth:`on_start`. If it fails, that is logged. Several functions run in reverse order.

        :raises RouteError: it is not a function.
        """
        self._own_hooks.on_stop.append(_checked_hook("on_stop", function))
        return function

    def add(self, route: Route) -> None:
        """
        Add a route, as decoration does.

        :raises RouteError: the route is not valid, or another one has its name.
        """
        with AtCallersLine():
            route.check()
            if route.name in self._routes:
                raise RouteError(f"there are two event routes {route.name!r}. Remove one of them")
        self._routes[route.name] = route

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __len__(self) -> int:
        return len(self._routes)

    @classmethod
    def merged(cls, collections: Iterable[EventRoutes]) -> EventRoutes:
        """
        Merge several collections into a new one.

        :raises RouteError: two of them have a route of the same name.
        """
        together = cls()
        for collection in collections:
            for route in collection:
                together.add(route)
            together.hooks += collection.hooks
        return together


def _checked_group(group: str) -> str:
    with AtCallersLine():
        try:
            if group:
                check_subject(group)
        except (SubjectError, TypeError) as error:
            raise RouteError(f"group {group!r}: {error}") from None
    return group


def _checked_hook(decorator: str, function: AnyHook) -> AnyHook:
    with AtCallersLine():
        if not callable(function):
            raise RouteError(f"{function!r} is not callable. Write @event_route.{decorator} above a function")
        check_function(function, "the service")
    return function


def _dead_letter_middleware(name: str, subject: str | None) -> Iterator[Middleware]:
    """Outermost, so that a message has its dead letter whatever fails: the function, or middleware around it."""
    if subject is None:
        return
    try:
        yield dead_letter(subject)
        if name == PREFIX + subject:
            raise RouteError(f"dead_letter = {subject!r}: the route would get its own dead letters")
    except RouteError as error:
        raise RouteError(f"event route {name!r}: {error}") from None


def _option_middleware(name: str, seconds: float | None, retries: int) -> Iterator[Middleware]:
    """The middleware that other options of a route stand for, the outermost first."""
    try:
        if retries:
            yield retry(retries)
        if seconds is not None:
            yield timeout(seconds)
    except RouteError as error:
        raise RouteError(f"event route {name!r}: {error}") from None
