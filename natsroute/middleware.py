"""
Middleware: functions around the function of an event route, as in Watermill's router.

A middleware takes a route's function and returns the function to call instead of it. It sees each event before the
route and each result after it::

    def timed(function):
        async def around(event):
            started = event.clock.seconds()
            try:
                return await maybeDeferred(function, event)
            finally:
                log.info("{route} took {seconds} s", route=event.name, seconds=event.clock.seconds() - started)
        return around

    event_route = EventRoutes(middleware=[timed])

The first middleware of a list is the outermost. Middleware runs on the reactor's thread, also around a function that
runs in a thread.

The middleware here uses nothing that yours cannot use: ``event.clock`` for time, ``event.counters`` to count,
``event.publish`` to publish, and ``event.attempts``. In typed programs, ``timed`` takes a :data:`RouteFunction` and
returns one, which makes it a :data:`Middleware`.
"""

from natsroute.routes.event import Middleware, RouteFunction
from natsroute.routes.middleware.correlation import correlation
from natsroute.routes.middleware.dead_letter import dead_letter
from natsroute.routes.middleware.deduplicate import deduplicate, message_id
from natsroute.routes.middleware.retry import retry
from natsroute.routes.middleware.throttle import throttle
from natsroute.routes.middleware.timeout import timeout

__all__ = [
    "Middleware",
    "RouteFunction",
    "correlation",
    "dead_letter",
    "deduplicate",
    "message_id",
    "retry",
    "throttle",
    "timeout",
]
