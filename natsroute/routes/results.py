"""What the function of an event route returns and raises."""

from __future__ import annotations

import asyncio
import inspect
from asyncio import _get_running_loop as running_loop  # get_running_loop() raises if there is none
from contextvars import Context
from types import CoroutineType
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from natsroute.errors import RouteError
from natsroute.routes.asyncio_call import AsyncioCall
from natsroute.routes.coroutine_call import start_coroutine
from natsroute.routes.event import Event, RouteFunction
from natsroute.routes.route_errors import NEEDS_ASYNCIO

#: Types of results that there is nothing to wait for. They are compared first, because most calls end there.
PLAIN_TYPES = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})


def as_deferred(result: object, context: Context | None = None) -> Deferred[Any] | None:
    """
    What a route's function returned, as a Deferred that fires when the call ends.

    A coroutine begins to run. If asyncio's loop is running, it runs as a Task.

    The Deferred fails with :class:`~natsroute.errors.RouteError` if the function returned something that has not run
    and that natsroute does not run: a generator, or another kind of awaitable.

    :param context: the context (contextvars) that a coroutine runs in, or None for a copy of the current one.
    :return: None if there is nothing to wait for.
    """
    if type(result) in PLAIN_TYPES:
        return None
    if type(result) is CoroutineType:
        loop = running_loop()
        return start_coroutine(result, context) if loop is None else AsyncioCall(result, loop, context)
    if isinstance(result, Deferred):
        return result
    if asyncio.isfuture(result):
        if running_loop() is None:
            result.cancel()
            return fail(RouteError(f"it returned a Future or Task. {NEEDS_ASYNCIO}"))
        return Deferred.fromFuture(result)
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
