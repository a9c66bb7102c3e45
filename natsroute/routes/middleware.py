"""
Middleware: functions around the function of an event route, as in Watermill's router.

A middleware takes a route's function and gives what runs instead of it. It sees each event before and after::

    def timed(function):
        async def around(event):
            started = event.clock.seconds()
            try:
                return await maybeDeferred(function, event)
            finally:
                log.info("{route} took {seconds} s", route=event.name, seconds=event.clock.seconds() - started)
        return around

    event_route = EventRoutes(middleware=[timed])

Those here are written in the same way, and know nothing that yours could not know: ``event.clock`` for time,
``event.counters`` to count, ``event.publish`` to publish, ``event.attempts``. The first of a list is the outermost.
They run on the reactor, also around a function that runs in a thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from itertools import count
from typing import Any, TypeAlias, TypeVar
from uuid import uuid4
from weakref import ref

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute.errors import (
    DecodeError,
    NatsrouteError,
    PayloadTooLargeError,
    RouteError,
    RouteTimeoutError,
    SubjectError,
)
from natsroute.routes.calls import ROUTE_ERRORS, deferred_of
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.wire.headers import MESSAGE_ID, HeaderValues, printable
from natsroute.wire.subjects import check_subject

_log = Logger()

#: What a middleware remembers.
State = TypeVar("State")


def compose(function: RouteFunction, middleware: Iterable[Middleware]) -> RouteFunction:
    """The function with all middleware around it, the first outermost."""
    for around in reversed(tuple(middleware)):
        function = around(function)
        if not callable(function):
            raise RouteError(f"middleware {around!r} gave {function!r}, which cannot be called")
    return function


class _Cancellable(Deferred[object]):
    """
    A call of a route's function that can be waited for.

    :ivar cancelled: whether it was cancelled by whoever waits for it, as after a time-out around all of this or when
        the service stops. A route that fails with ``CancelledError`` alone has an error of its own.
    """

    def __init__(self, function: RouteFunction, event: Event) -> None:
        super().__init__()
        self.cancelled = False
        self.addCallback(partial(maybeDeferred, function))
        self.callback(event)

    def cancel(self) -> None:
        self.cancelled = True
        super().cancel()  # hands it on to what the function has returned


def timeout(seconds: float) -> Middleware:
    """
    Cancel the Deferred, or the coroutine, of a call that takes longer.

    The call fails with :class:`~natsroute.errors.RouteTimeoutError`. A function in a thread cannot be stopped: it goes
    on there, and what it gives is not looked at.
    """
    _check_positive("timeout", seconds)

    def say(result: object, after: float) -> None:
        raise RouteTimeoutError(after)

    def around(function: RouteFunction) -> RouteFunction:
        def timed(event: Event) -> object:
            result = function(event)
            ending = deferred_of(result)
            return result if ending is None else ending.addTimeout(seconds, event.clock, say)

        return timed

    return around


def retry(retries: int, wait: float = 0.1, max_wait: float = 10.0) -> Middleware:
    """
    Call again after a failure; the message counts as in progress meanwhile.

    A payload that cannot be decoded will not be better next time, and a call that was cancelled from outside is not
    wanted: these fail at once.

    :param retries: calls at most, beside the first.
    :param wait: seconds before the first of them; doubles each time.
    :param max_wait: seconds that this may grow to.
    """
    if type(retries) is not int or retries < 1:
        raise RouteError(f"retries = {retries!r}; it must be a whole number of at least 1")
    _check_positive("wait", wait)
    _check_positive("max_wait", max_wait)

    def around(function: RouteFunction) -> RouteFunction:
        async def retrying(event: Event) -> object:
            for attempt in count(1):
                event.attempts = attempt
                call = _Cancellable(function, event)
                try:
                    return await call
                except DecodeError:
                    raise
                except ROUTE_ERRORS as error:
                    if attempt > retries or call.cancelled:
                        raise
                    pause = min(max_wait, wait * 2.0 ** (attempt - 1))
                    event.counters.retried += 1
                    _log.warn(
                        "Event route {route}: attempt {attempt} on a message to {subject!r} failed: {kind}: {reason}; "
                        "again in {pause:.3g} s",
                        route=event.name,
                        attempt=attempt,
                        subject=event.subject,
                        kind=type(error).__name__,
                        reason=error,
                        pause=pause,
                    )
                await deferLater(event.clock, pause)
            raise AssertionError("count() has no end")

        return retrying

    return around


#: The headers of a dead letter.
DEAD_LETTER_HEADERS = ("Natsroute-Route", "Natsroute-Subject", "Natsroute-Error", "Natsroute-Attempts")
_LONGEST_TOLD = 500  # characters of a header: an error can quote the whole payload


def dead_letter(subject: str) -> Middleware:
    """
    Publish the payload of a message whose call failed, with headers that tell route, subject, error and attempts.

    The message's own headers go along, but for those that begin with ``Nats-``, which a stream would obey, and for a
    letter that would be too large with them. The call counts as failed all the same, and as dead-lettered when the
    server has the letter; the message is in progress until then. A message that is a dead letter itself is not buried
    again: two routes might send it to each other for ever.

    :raises RouteError: the subject is not one.
    """
    try:
        check_subject(subject)
    except SubjectError as error:
        raise RouteError(f"dead_letter: {error}") from None

    def around(function: RouteFunction) -> RouteFunction:
        async def burying(event: Event) -> object:
            call = _Cancellable(function, event)
            try:
                return await call
            except ROUTE_ERRORS as error:
                # If it was cancelled it was not the route that failed, and a connection has no message.
                if not call.cancelled and event.server is None:
                    await _bury(event, subject, error)
                raise

        return burying

    return around


async def _bury(event: Event, subject: str, error: BaseException) -> None:
    own = _sendable_headers(event)
    if DEAD_LETTER_HEADERS[0] in own:
        _log.error("Event route {route} failed on a dead letter, which is not buried again", route=event.name)
        return
    own = {name: values for name, values in own.items() if not name.startswith("Nats-")}
    told = (event.name, event.subject, f"{type(error).__name__}: {error}", str(event.attempts))
    headers: dict[str, Any] = {name: printable(text[:_LONGEST_TOLD]) for name, text in zip(DEAD_LETTER_HEADERS, told)}
    try:
        try:
            await event.publish(subject, event.data, None, {**own, **headers}, policy="keep")
        except PayloadTooLargeError:
            await event.publish(subject, event.data, None, headers, policy="keep")
    except NatsrouteError as problem:
        _log.error(
            "Event route {route}: the dead letter of a message to {subject!r} was not published: {reason}",
            route=event.name,
            subject=event.subject,
            reason=problem,
        )
    else:
        event.counters.dead_lettered += 1


def _sendable_headers(event: Event) -> dict[str, list[str]]:
    """The message's own headers; none if they cannot be read, which may be why it failed."""
    try:
        return {name: event.headers.get_all(name) for name in event.headers}
    except DecodeError:
        return {}


class _ByClock(dict[ref[IReactorTime], State]):
    """
    What a middleware remembers, for each clock by itself: it lives as long as the program's module, and a test with a
    clock of its own must find nothing of the test before.

    The keys are weak references, ``ref(clock)``; a WeakKeyDictionary would cost more for each message.

    :param begin: gives what there is to remember at first.
    """

    def __init__(self, begin: Callable[[], State]) -> None:
        self._begin = begin

    def __missing__(self, clock: ref[IReactorTime]) -> State:
        for gone in [known for known in self if known() is None]:
            del self[gone]
        state = self[clock] = self._begin()
        return state


@attrs.define
class _Pace:
    """When the next call may begin."""

    next_at: float = 0.0


def throttle(limit: int, seconds: float = 1.0) -> Middleware:
    """
    Begin at most so many calls in so many seconds, evenly spread; messages that are too early wait.

    Routes that are given the same throttle share it.
    """
    _check_positive("limit", limit)
    _check_positive("seconds", seconds)
    interval = seconds / limit
    paces = _ByClock(_Pace)

    def around(function: RouteFunction) -> RouteFunction:
        def throttled(event: Event) -> object:
            clock = event.clock
            pace, now = paces[ref(clock)], clock.seconds()
            pause, pace.next_at = pace.next_at - now, max(now, pace.next_at) + interval
            return function(event) if pause <= 0 else deferLater(clock, pause, maybeDeferred, function, event)

        return throttled

    return around


#: By what two copies have in common, when the call of the first began; the oldest first.
_Seen: TypeAlias = "OrderedDict[Hashable, float]"


def message_id(event: Event) -> Hashable:
    """What two copies of a message have in common: ``Nats-Msg-Id``, or subject and payload if there is none."""
    return event.headers.get(MESSAGE_ID) or (event.subject, event.data)


def deduplicate(
    *, key: Callable[[Event], Hashable] = message_id, seconds: float = 120.0, most: int = 10_000
) -> Middleware:
    """
    Pass over a message that came before, or is being handled; a route that has failed gets it again.

    Routes that are given the same middleware share what it has seen.

    :param key: equal for messages that are the same.
    :param seconds: how long a message is remembered, counted from its call's beginning.
    :param most: how many are; then the oldest is forgotten.
    """
    _check_positive("seconds", seconds)
    _check_positive("most", most)
    memories: _ByClock[_Seen] = _ByClock(OrderedDict)

    def forget(failure: Failure, seen: _Seen, known: Hashable, began: float) -> Failure:
        if seen.get(known) == began:
            del seen[known]
        return failure

    def around(function: RouteFunction) -> RouteFunction:
        def once(event: Event) -> Deferred[object] | None:
            if event.server is not None:
                return maybeDeferred(function, event)  # a connection that comes again is news
            clock = event.clock
            seen, now = memories[ref(clock)], clock.seconds()
            while seen and next(iter(seen.values())) + seconds <= now:
                seen.popitem(last=False)
            known = key(event)
            if known in seen:
                return None
            seen[known] = now
            if len(seen) > most:
                seen.popitem(last=False)
            return maybeDeferred(function, event).addErrback(forget, seen, known, now)

        return once

    return around


def correlation(header: str = "Correlation-Id") -> Middleware:
    """
    Give all that a call publishes the message's own correlation id, or a new one if it has none.

    :param header: where it stands.
    """

    if not isinstance(header, str):
        raise RouteError(f"correlation: header = {header!r}; it must be the name of a header")

    def around(function: RouteFunction) -> RouteFunction:
        def correlated(event: Event) -> object:
            identity = _sendable_headers(event).get(header) or [uuid4().hex]
            publish = partial(_publish_with, event.context.publish, {header: identity})
            event.context = attrs.evolve(event.context, publish=publish)
            return function(event)

        return correlated

    return around


def _publish_with(
    publish: Callable[..., Deferred[None]],
    more: HeaderValues,
    subject: str,
    payload: object,
    reply: str | None = None,
    headers: HeaderValues | None = None,
    **how: Any,
) -> Deferred[None]:
    return publish(subject, payload, reply, {**more, **(headers or {})}, **how)


def _check_positive(name: str, value: float) -> None:
    if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise RouteError(f"{name} = {value!r}; it must be a number above 0")
