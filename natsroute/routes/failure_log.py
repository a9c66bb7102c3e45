"""The log of failed calls: each error in full once, and then counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from natsroute.errors import (
    DecodeError,
    NoReplySubjectError,
    Reject,
    RouteError,
    RouteTimeoutError,
    ScriptError,
    ScriptLimitError,
)
from natsroute.log import Logger
from natsroute.routes.event import Event
from natsroute.routes.route_errors import NEEDS_ASYNCIO, needs_asyncio

#: Errors whose traceback would say nothing about the code, or that have none.
_WITHOUT_TRACEBACK = (
    DecodeError,
    NoReplySubjectError,
    Reject,
    RouteError,
    RouteTimeoutError,
    ScriptError,
    ScriptLimitError,
)

#: Seconds between two summaries of the same error.
PERIOD = 60.0

#: What makes two errors the same: route, type, and the line that raised it.
_Kind: TypeAlias = "tuple[str, type[BaseException], str | None, int]"


@attrs.define(eq=False)
class _Repeats:
    """
    An error that has been logged.

    :ivar since: when it was logged last, in full or in a summary.
    :ivar count: how often it has occurred since then.
    :ivar subject: the subject of the last message that failed with it.
    """

    since: float
    count: int = 0
    subject: str = ""


class FailureLog:
    """
    Logs failed calls. Of the errors of one route with the same type from the same line, the first is logged in full,
    and those after it are counted. A line sums them up every ``PERIOD`` seconds. An error that has not occurred for
    that time is logged in full again.

    :param clock: the reactor.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._repeats: dict[_Kind, _Repeats] = {}
        self._summary: IDelayedCall | None = None
        self._on_failure: Callable[[Event, Failure], object] | None = None

    def observe(self, on_failure: Callable[[Event, Failure], object]) -> None:
        """
        Report each failed call from now on.

        :param on_failure: called with the event and the failure, whether that is logged or counted.
        """
        self._on_failure = on_failure

    def add(self, event: Event, failure: Failure) -> None:
        """Log or count a failed call."""
        if self._on_failure is not None:
            self._on_failure(event, failure)
        kind = _kind(event, failure)
        now = self._clock.seconds()
        known = self._repeats.get(kind)
        if known is None or (not known.count and known.since + PERIOD <= now):
            self._repeats[kind] = _Repeats(now)
            self._log(event, failure)
            return
        known.count += 1
        known.subject = event.subject
        if self._summary is None:
            self._summary = self._clock.callLater(PERIOD, self._sum_up)

    def flush(self) -> None:
        """Sum up now what has been counted. No timer is left."""
        if self._summary is not None:
            self._summary.cancel()
            self._sum_up()

    def begin_anew(self) -> None:
        """Sum up now what has been counted, and log each error in full again: the code has changed."""
        self.flush()
        self._repeats.clear()

    def _sum_up(self) -> None:
        self._summary = None
        now = self._clock.seconds()
        known, self._repeats = self._repeats, {}
        for kind, repeats in known.items():
            if not repeats.count:
                if repeats.since + PERIOD > now:
                    self._repeats[kind] = repeats
                continue
            route, error, _, _ = kind
            self.log.error(
                "Event route {route} failed with {kind} {count} more times in {seconds:.0f} s, last on a message to "
                "{subject!r}",
                route=route,
                kind=error.__name__,
                count=repeats.count,
                seconds=now - repeats.since,
                subject=repeats.subject,
            )
            self._repeats[kind] = _Repeats(now)

    def _log(self, event: Event, failure: Failure) -> None:
        if failure.check(*_WITHOUT_TRACEBACK):
            self.log.error(
                "Event route {route} failed on a message to {subject!r}: {reason}",
                route=event.name,
                subject=event.subject,
                reason=failure.getErrorMessage(),
            )
        else:
            advice = f". {NEEDS_ASYNCIO}" if needs_asyncio(failure.value) else ""
            self.log.failure(
                "Event route {route} failed on a message to {subject!r}{advice}",
                advice=advice,
                failure=failure,
                route=event.name,
                subject=event.subject,
            )


def _kind(event: Event, failure: Failure) -> _Kind:
    error: BaseException = failure.value  # type: ignore[assignment]  # it is never None
    if isinstance(error, ScriptError):
        return event.name, type(error), error.file, error.line
    traceback = error.__traceback__
    if traceback is None:  # there was none, or Twisted has removed it, and keeps the names and lines only
        filename, line = failure.frames[-1][1:3] if failure.frames else (None, 0)
        return event.name, type(error), filename, line
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return event.name, type(error), traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
