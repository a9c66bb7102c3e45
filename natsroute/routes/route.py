"""One event route: its name, its function and its options, checked."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from natsroute.errors import RouteError, SubjectError
from natsroute.routes.ack_policy import ACK_POLICIES, AckPolicy
from natsroute.routes.endpoint import Endpoint
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.responding import responding
from natsroute.routes.results import PLAIN_TYPES, as_deferred
from natsroute.routes.signatures import check_function, is_coroutine_function
from natsroute.wire.key_value import check_bucket, check_key_pattern, subject_of
from natsroute.wire.subjects import check_pattern

PREFIX = "nats:"
#: Before the bucket and the pattern of keys in the name of a route for the changes of a key-value bucket.
KEY_VALUE_PREFIX = "kv:"
CONNECTED = "nats:connected"
DISCONNECTED = "nats:disconnected"
ERROR = "nats:error"
SLOW_CONSUMER = "nats:slow_consumer"
CONNECTION_EVENTS = (CONNECTED, DISCONNECTED, ERROR, SLOW_CONSUMER)

#: Runs a blocking function in a thread.
CallInThread = Callable[[RouteFunction, Event], "Deferred[object]"]
#: Returns the key that a message is ordered by.
KeyFunction = Callable[[Event], Hashable]
#: Makes the :class:`~natsroute.routes.calls.Calls` of a route for one consumer, if something takes messages itself, as
#: a KEMI script does. It is called with the route's counters and the calls in flight.
NewCalls = Callable[..., Any]


@attrs.frozen
class Route:
    """
    An event route.

    :ivar name: ``nats:`` and the subject or wildcard that the route is for; or ``kv:``, a key-value bucket, ``:`` and
        the key or wildcard.
    :ivar function: what runs for each message.
    :ivar concurrency: how many messages, or keys, run at once. 1 without a key: one message after the other.
    :ivar key: messages with the same key run one after the other, those with different keys at the same time.
    :ivar thread: whether the function runs in a thread, because it blocks.
    :ivar middleware: goes around the function, the first outermost.
    :ivar new_calls: makes what runs for messages; None: the function with its options.
    :ivar responds: whether what the function returns answers the message.
    :ivar endpoint: how it is shown as an endpoint of a service, if it responds.
    :ivar ack: for messages of a stream, when they are acknowledged.
    """

    name: str
    function: RouteFunction
    concurrency: int = 1
    key: KeyFunction | None = None
    thread: bool = False
    middleware: tuple[Middleware, ...] = ()
    new_calls: NewCalls | None = None
    responds: bool = False
    endpoint: Endpoint | None = None
    ack: AckPolicy = "after"

    @property
    def pattern(self) -> str:
        """The subject or wildcard that the route is for; for changes of a bucket, that of its stream."""
        bucket = self.bucket
        if bucket is None:
            return self.name[len(PREFIX) :]
        return subject_of(bucket, self.name[len(KEY_VALUE_PREFIX) + len(bucket) + 1 :])

    @property
    def bucket(self) -> str | None:
        """The key-value bucket whose changes the route is for; None if it is for messages."""
        return self.name[len(KEY_VALUE_PREFIX) :].partition(":")[0] if self.name.startswith(KEY_VALUE_PREFIX) else None

    def wrapped(self, call_in_thread: CallInThread) -> RouteFunction:
        """The function with all middleware around it; in a thread, if the route asks for one."""
        return _compose(self._inner(call_in_thread), self._around)

    def wrapped_with_key(self, call_in_thread: CallInThread) -> RouteFunction:
        """The same, with a call of the key function innermost: its errors are errors of the route."""
        key, function = self.key, self._inner(call_in_thread)
        assert key is not None

        def with_key(event: Event) -> object:
            hash(key(event))
            return function(event)

        return _compose(with_key, self._around)

    @property
    def _around(self) -> tuple[Middleware, ...]:
        return (responding, *self.middleware) if self.responds else self.middleware

    def _inner(self, call_in_thread: CallInThread) -> RouteFunction:
        return partial(call_in_thread, self.function) if self.thread else self.function

    def check(self) -> None:
        """
        Check that name, function and options fit together.

        :raises RouteError: they do not.
        """
        try:
            self._check()
        except (RouteError, SubjectError) as error:
            raise RouteError(f"event route {self.name!r}: {error}") from None

    def _check(self) -> None:
        self._check_name()
        check_function(self.function, "the event")
        if type(self.concurrency) is not int or self.concurrency < 1:
            raise RouteError(f"concurrency = {self.concurrency!r}; it must be an integer of at least 1")
        if self.ack not in ACK_POLICIES:
            raise RouteError(f"ack = {self.ack!r}; it must be one of: {', '.join(ACK_POLICIES)}")
        if self.key is not None:
            if not callable(self.key):
                raise RouteError(f"key = {self.key!r} is not callable")
            if is_coroutine_function(self.key):
                raise RouteError("key is a coroutine function; it must return the key at once")
            check_function(self.key, "the event")
        try:
            _compose(self.function, self.middleware)
        except Exception as error:  # such as deduplicate instead of deduplicate()
            raise RouteError(f"its middleware cannot be used: {error}") from None
        if self.endpoint is not None and not isinstance(self.endpoint, Endpoint):
            raise RouteError(f"endpoint = {self.endpoint!r}; write endpoint=Endpoint('NAME')")
        if self.endpoint is not None and not self.responds:
            raise RouteError("it has an endpoint and does not respond. Add responds=True")
        if self.responds and self.name in CONNECTION_EVENTS:
            raise RouteError("responds: a connection event has no reply subject")
        if self.thread and is_coroutine_function(self.function):
            raise RouteError("a coroutine function runs on the reactor, not in a thread")

    def _check_name(self) -> None:
        if not isinstance(self.name, str) or not self.name.startswith((PREFIX, KEY_VALUE_PREFIX)):
            raise RouteError("a name must be 'nats:' and a subject, or 'kv:BUCKET:' and a key")
        if self.bucket is None:
            check_pattern(self.pattern)
        else:
            self._check_key_value(self.bucket)

    def _check_key_value(self, bucket: str) -> None:
        check_bucket(bucket)
        check_key_pattern(self.name[len(KEY_VALUE_PREFIX) + len(bucket) + 1 :])
        if self.responds:
            raise RouteError("responds: nobody waits for an answer to the change of a key")
        if self.ack != "after":
            raise RouteError("ack: the changes of a bucket are not acknowledged")


def _compose(function: RouteFunction, middleware: Sequence[Middleware]) -> RouteFunction:
    """
    Put middleware around a function, the first outermost.

    :raises RouteError: a middleware returned something that is not callable.
    """
    started = False
    for around in reversed(middleware):
        function = around(function if started and not is_coroutine_function(function) else _started(function))
        started = True
        if not callable(function):
            raise RouteError(f"middleware {around!r} returned {function!r}, which is not callable")
    return function


def _started(function: RouteFunction) -> RouteFunction:
    """
    The same function, but its coroutines run when it returns them, and what it returns is a Deferred.

    Middleware need not know how a coroutine is run: ``await`` and ``maybeDeferred()`` would do it in a way that leaves
    asyncio out.
    """

    def started(event: Event) -> object:
        result = function(event)
        if type(result) in PLAIN_TYPES:
            return result
        ending = as_deferred(result)
        return result if ending is None else ending

    return started
