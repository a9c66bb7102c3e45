"""What the function of an event route returns and raises."""

from __future__ import annotations

import asyncio
import inspect

from twisted.internet.defer import Deferred

#: What counts as an error of a route. asyncio's CancelledError is not an Exception, so that it passes through the
#: ``except Exception`` of a task. A route is not a task, but it may look at a Future that was cancelled.
ROUTE_ERRORS = (Exception, asyncio.CancelledError)


def as_deferred(result: object) -> Deferred[object] | None:
    """
    What a route's function returned, as a Deferred that fires when the call ends.

    :return: None if there is nothing to wait for.
    """
    if inspect.iscoroutine(result):
        return Deferred.fromCoroutine(result)
    return result if isinstance(result, Deferred) else None
