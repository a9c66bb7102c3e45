"""Middleware that cancels calls which take too long."""

from __future__ import annotations

from natsroute.errors import RouteTimeoutError
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import check_positive
from natsroute.routes.results import as_deferred


def timeout(seconds: float) -> Middleware:
    """
    Cancel a call that takes longer: its Deferred, or its coroutine.

    The call then fails with :class:`~natsroute.errors.RouteTimeoutError`. A function in a thread cannot be stopped: it
    runs on, and its result is ignored. One that still waits for a thread never runs.

    :param seconds: how long a call may take.
    :raises RouteError: ``seconds`` is not a number above 0.
    """
    check_positive("timeout", seconds)

    def fail(result: object, after: float) -> None:
        raise RouteTimeoutError(after)

    def around(function: RouteFunction) -> RouteFunction:
        def timed(event: Event) -> object:
            result = function(event)
            ending = as_deferred(result)
            return result if ending is None else ending.addTimeout(seconds, event.clock, fail)

        return timed

    return around
