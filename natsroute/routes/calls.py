"""Calling the function of an event route: its errors are logged and counted, and one that never ends is named."""

from __future__ import annotations

import inspect

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute.errors import DecodeError
from natsroute.routes.event import Event
from natsroute.routes.table import RouteFunction


@attrs.define(eq=False)
class _Call:
    """A call that has not ended when its function returned."""

    event: Event
    started: float
    ended: bool = False
    told: bool = False


class Calls:
    """
    Calls the functions of event routes.

    :param slow_after: seconds after which a call that has not ended is logged, once.

    :ivar succeeded: calls that ended well.
    :ivar failed: calls that raised, or whose Deferred failed.
    :ivar waiting: events that a lane holds, since another one of their key is running.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, *, slow_after: float = 30.0) -> None:
        self.succeeded = 0
        self.failed = 0
        self.waiting: set[Event] = set()
        self._clock = clock
        self._slow_after = slow_after
        self._running: set[_Call] = set()
        self._watch: IDelayedCall | None = None

    @property
    def running(self) -> int:
        """Calls that have not ended."""
        return len(self._running)

    @property
    def idle(self) -> bool:
        """Whether no call is running, nor waits behind another."""
        return not self._running and not self.waiting

    @property
    def unfinished(self) -> list[str]:
        """The subjects of the messages whose calls are running, or wait behind another."""
        return [call.event.subject for call in self._running] + [event.subject for event in self.waiting]

    def call(self, function: RouteFunction, event: Event) -> Deferred[None] | None:
        """
        Call an event route.

        :return: None if it has ended, else a Deferred that fires with None when it ends, well or not. (Most calls end
            at once, and a Deferred for each would cost as much as all the rest.)
        """
        try:
            result = function(event)
        except (Exception, SystemExit):
            self.fail(event, Failure())
            return None
        if result is None:
            self.succeeded += 1
            return None
        if inspect.iscoroutine(result):
            result = Deferred.fromCoroutine(result)
        elif not isinstance(result, Deferred):
            self.succeeded += 1
            return None
        call = _Call(event, self._clock.seconds())
        result.addCallbacks(self._succeed, self._fail, callbackArgs=(call,), errbackArgs=(call,))
        if call.ended:
            return None
        self._running.add(call)
        if self._watch is None:
            self._watch = self._clock.callLater(self._slow_after, self._look_for_slow)
        return result

    def fail(self, event: Event, failure: Failure) -> None:
        """Count and log a failed call."""
        self.failed += 1
        if failure.check(DecodeError):
            # The message is at fault, not the code: a traceback would tell nothing.
            self.log.error("Event route {route} failed: {reason}", route=event.name, reason=failure.getErrorMessage())
        else:
            self.log.failure(
                "Event route {route} failed on a message to {subject!r}",
                failure=failure,
                route=event.name,
                subject=event.subject,
            )

    def stop(self) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _succeed(self, result: object, call: _Call) -> None:
        self.succeeded += 1
        self._end(call)

    def _fail(self, failure: Failure, call: _Call) -> None:
        self.fail(call.event, failure)
        self._end(call)

    def _end(self, call: _Call) -> None:
        call.ended = True
        self._running.discard(call)

    def _look_for_slow(self) -> None:
        self._watch = None
        now = self._clock.seconds()
        for call in self._running:
            if not call.told and now - call.started >= self._slow_after:
                call.told = True
                self.log.warn(
                    "Event route {route} has not ended for {seconds:.0f} s on a message to {subject!r}",
                    route=call.event.name,
                    subject=call.event.subject,
                    seconds=now - call.started,
                )
        waiting = [call.started for call in self._running if not call.told]
        if waiting:
            self._watch = self._clock.callLater(min(waiting) + self._slow_after - now, self._look_for_slow)
