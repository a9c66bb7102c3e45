"""Middleware that calls again after a failure."""

from __future__ import annotations

from itertools import count

from twisted.internet.task import deferLater

from natsroute.errors import DecodeError, MisuseError, Reject, RouteError
from natsroute.log import Logger
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import CancellableCall, check_positive
from natsroute.routes.route_errors import describe

_log = Logger()


def retry(retries: int, wait: float = 0.1, max_wait: float = 10.0) -> Middleware:
    """
    Call the function again after a failure. The message counts as in progress until the last attempt has ended.

    Some failures are final: a payload that cannot be decoded, :class:`~natsroute.errors.Reject`, and what is a mistake
    in the route (:class:`~natsroute.errors.MisuseError`, such as an invalid subject or an answer without a reply
    subject), because they will not be better next time; and a call that was cancelled from outside.

    :param retries: how many calls may follow the first.
    :param wait: seconds before the first retry. Each further wait is twice as long.
    :param max_wait: seconds that a wait may last.
    :raises RouteError: ``retries`` is not an integer above 0, or a wait is not a number above 0.
    """
    if type(retries) is not int or retries < 1:
        raise RouteError(f"retries = {retries!r}; it must be an integer of at least 1")
    check_positive("wait", wait)
    check_positive("max_wait", max_wait)

    def around(function: RouteFunction) -> RouteFunction:
        async def retrying(event: Event) -> object:
            for attempt in count(1):
                event.attempts = attempt
                call = CancellableCall(function, event)
                try:
                    return await call
                except (DecodeError, MisuseError, Reject):
                    raise
                except BaseException as error:
                    if attempt > retries or call.ends_with(error):
                        raise
                    pause = min(max_wait, wait * 2.0 ** (attempt - 1))
                    event.counters.retried += 1
                    reason = describe(error)
                    if event.span is not None:
                        about = {"natsroute.attempt": attempt, "natsroute.wait": pause, "natsroute.reason": reason}
                        event.span.add_event("retry", about)
                    _log.warn(
                        "Event route {route}: attempt {attempt} on a message to {subject!r} failed: {reason}; "
                        "retrying in {pause:.3g} s",
                        route=event.name,
                        attempt=attempt,
                        subject=event.subject,
                        reason=reason,
                        pause=pause,
                    )
                await deferLater(event.clock, pause)
            raise AssertionError("count() does not end")

        return retrying

    return around
