"""Middleware that calls again after a failure."""

from __future__ import annotations

import asyncio
from itertools import count

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from natsroute.errors import DecodeError, MisuseError, Reject, RouteError
from natsroute.log import Logger
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.middleware.base import CancellableCall, check_positive
from natsroute.routes.results import as_deferred
from natsroute.routes.route_errors import describe, is_exit
from natsroute.routes.signatures import RETURNS_COROUTINES
from natsroute.routes.stream_message import Acknowledgement

_log = Logger()


def retry(retries: int, wait: float = 0.1, max_wait: float = 10.0) -> Middleware:
    """
    Call the function again after a failure. The message counts as in progress until the last attempt has ended.

    For a message of a stream, the server waits and delivers it again, so the retries outlive a restart. Its deliveries
    count as attempts, whoever got them.

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

    return _Retries(retries, wait, max_wait).around


@attrs.frozen
class _Retries:
    """Calls again, or lets the server deliver the message again."""

    retries: int
    wait: float
    max_wait: float

    def around(self, function: RouteFunction) -> RouteFunction:
        def retried(event: Event) -> object:
            acknowledgement = event.acknowledgement
            if acknowledgement is None or not acknowledgement.redelivers:
                return self.retrying(function, event)
            return self.redelivered(function, event, acknowledgement)

        setattr(retried, RETURNS_COROUTINES, True)
        return retried

    def pause_after(self, attempt: int) -> float:
        return min(self.max_wait, self.wait * 2.0 ** min(attempt - 1, 1000))

    async def retrying(self, function: RouteFunction, event: Event) -> object:
        for attempt in count(1):
            event.attempts = attempt
            call = CancellableCall(function, event)
            try:
                return await call
            except BaseException as error:
                if attempt > self.retries or call.ends_with(error) or _is_final(error):
                    raise
                pause = self.pause_after(attempt)
                _count(event, error, attempt, pause)
            await deferLater(event.clock, pause)
        raise AssertionError("count() does not end")

    def redelivered(self, function: RouteFunction, event: Event, acknowledgement: Acknowledgement) -> object:
        """The server waits, and delivers the message again."""
        try:
            result = function(event)
        except BaseException:
            self._failed(Failure(), event, acknowledgement)
            raise
        ending = as_deferred(result)
        return result if ending is None else ending.addErrback(self._failed, event, acknowledgement)

    def _failed(self, failure: Failure, event: Event, acknowledgement: Acknowledgement) -> Failure:
        error, attempt = failure.value, event.attempts
        assert error is not None
        if is_exit(error) or event.acknowledged is not None:
            return failure
        if failure.check(CancelledError, asyncio.CancelledError) and acknowledgement.was_cancelled(event):
            return failure
        if attempt > self.retries or _is_final(error) or acknowledgement.is_last_delivery(event):
            acknowledgement.give_up(event)
        else:
            pause = self.pause_after(attempt)
            acknowledgement.retry_in(event, pause)
            _count(event, error, attempt, pause)
        return failure


def _is_final(error: BaseException) -> bool:
    """Whether an error will be the same next time."""
    return isinstance(error, (DecodeError, MisuseError, Reject))


def _count(event: Event, error: BaseException, attempt: int, pause: float) -> None:
    """Count a failed attempt that another one follows, and log it."""
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
