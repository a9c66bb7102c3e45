"""What the function of an event route returns and raises."""

from __future__ import annotations

import inspect
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from natsroute.errors import RouteError
from natsroute.routes.event import Event, RouteFunction

# Nothing to wait for. The types are compared first, because most calls end here.
_PLAIN = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})


def as_deferred(result: object) -> Deferred[Any] | None:
    """
    What a route's function returned, as a Deferred that fires when the call ends.

    The Deferred fails with :class:`~natsroute.errors.RouteError` if the function returned something that has not run
    and that natsroute does not run: a generator, or another kind of awaitable.

    :return: None if there is nothing to wait for.
    """
    if type(result) in _PLAIN:
        return None
    if isinstance(result, Deferred):
        return result
    if inspect.iscoroutine(result):
        return Deferred.fromCoroutine(result)
    if inspect.isgenerator(result) or inspect.isasyncgen(result) or inspect.isawaitable(result):
        return fail(
            RouteError(
                f"it returned an object of type {type(result).__name__}, which has not run. Return a coroutine or a "
                "Deferred, or make the function 'async def' and await the object in it"
            )
        )
    return None


def call_deferred(function: RouteFunction, event: Event) -> Deferred[Any]:
    """
    Call the function of a route, as Twisted's ``maybeDeferred()`` does.

    :return: fires with the function's result, or fails with what it raised.
    """
    try:
        result = function(event)
    except BaseException:  # an error of this call, whatever it is
        return fail(Failure())
    ending = as_deferred(result)
    return succeed(result) if ending is None else ending
