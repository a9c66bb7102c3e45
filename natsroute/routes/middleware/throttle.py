"""Middleware that limits how many calls begin in a second."""

from __future__ import annotations

from weakref import ref

import attrs
from twisted.internet.task import deferLater

from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import check_positive
from natsroute.routes.middleware.per_clock import PerClock
from natsroute.routes.results import call_deferred


@attrs.define
class _Schedule:
    """
    The state of one throttle.

    :ivar next_start: when the next call may begin.
    """

    next_start: float = 0.0


def throttle(limit: int, seconds: float = 1.0) -> Middleware:
    """
    Limit the rate of calls. They begin evenly spread; a message that is too early waits.

    Routes with the same throttle object share the limit.

    :param limit: how many calls may begin in that time.
    :param seconds: the time.
    :raises RouteError: one of them is not a number above 0.
    """
    check_positive("limit", limit)
    check_positive("seconds", seconds)
    interval = seconds / limit
    schedules = PerClock(_Schedule)

    def around(function: RouteFunction) -> RouteFunction:
        def throttled(event: Event) -> object:
            clock = event.clock
            schedule, now = schedules[ref(clock)], clock.seconds()
            pause, schedule.next_start = schedule.next_start - now, max(now, schedule.next_start) + interval
            return function(event) if pause <= 0 else deferLater(clock, pause, call_deferred, function, event)

        return throttled

    return around
