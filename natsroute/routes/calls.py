"""Calling the function of an event route: its errors are logged and counted, and one that never ends is named."""

from __future__ import annotations

import asyncio
import inspect

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute.errors import DecodeError, RouteTimeoutError
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, RouteFunction

#: What counts as an error of a route. The CancelledError of asyncio is no Exception, so that a task can be cancelled; a
#: route is none, and may look at a Future that was.
ROUTE_ERRORS = (Exception, asyncio.CancelledError)


def deferred_of(result: object) -> Deferred[object] | None:
    """What the function of a route returned, if that is something to wait for."""
    if inspect.iscoroutine(result):
        return Deferred.fromCoroutine(result)
    return result if isinstance(result, Deferred) else None


@attrs.define(eq=False)
class Call:
    """A call that has not ended when its function returned."""

    event: Event
    ending: Deferred[object]
    started: float
    ended: bool = False
    told: bool = False
    cancelled: bool = False


class CallsInFlight:
    """
    What all event routes of a service are busy with, and for how long.

    :param slow_after: seconds after which a call that has not ended is logged, once.

    :ivar running: calls that have not ended.
    :ivar waiting: events that a lane holds, since another one of their key is running.
    :ivar stopped: whether nothing more may begin.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, *, slow_after: float = 30.0) -> None:
        self.running: set[Call] = set()
        self.waiting: set[Event] = set()
        self.stopped = False
        self._held: list[Deferred[None]] = []  # lanes that are not told yet that their calls have ended
        self._clock = clock
        self._slow_after = slow_after
        self._watch: IDelayedCall | None = None

    @property
    def idle(self) -> bool:
        """Whether no call is running, nor waits behind another."""
        return not self.running and not self.waiting

    @property
    def unfinished(self) -> list[str]:
        """The subjects of the messages whose calls are running, or wait behind another; for a connection, the route."""
        return [event.subject or event.name for event in (*(call.event for call in self.running), *self.waiting)]

    def new_call(self, event: Event, ending: Deferred[object]) -> Call:
        """
        A call that begins now; it counts as running when it is given to :meth:`add`.

        :param ending: fires when it ends.
        """
        return Call(event, ending, self._clock.seconds())

    def add(self, call: Call) -> None:
        """It has not ended at once."""
        self.running.add(call)
        if self._watch is None:
            self._watch = self._clock.callLater(self._slow_after, self._look_for_slow)

    def end(self, call: Call) -> Deferred[None] | None:
        """
        It has ended, well or not.

        :return: None, or what its lane must wait for before it goes on.
        """
        call.ended = True
        self.running.discard(call)
        if not self.stopped:
            return None
        self._held.append(Deferred())
        return self._held[-1]

    def start(self) -> None:
        """Undo :meth:`stop`: lanes go on with what waits in them."""
        self.stopped = False
        held, self._held = self._held, []
        for lane in held:
            lane.callback(None)

    def stop(self) -> None:
        """
        Cancel what is running, and let nothing follow it. Whoever asks for this names it (:attr:`unfinished`): a call
        that then ends as cancelled is counted, not logged.
        """
        self.stopped = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for call in tuple(self.running):
            if not call.cancelled:
                call.cancelled = True
                self._cancel(call)

    def _cancel(self, call: Call) -> None:
        try:
            call.ending.cancel()
        except Exception:  # as any canceller of the program's own may
            self.log.failure("Event route {route} could not be cancelled", route=call.event.name)

    def _look_for_slow(self) -> None:
        self._watch = None
        now = self._clock.seconds()
        for call in self.running:
            if not call.told and call.started + self._slow_after <= now:  # rounded as below
                call.told = True
                self.log.warn(
                    "Event route {route} has not ended for {seconds:.0f} s on a message to {subject!r}",
                    route=call.event.name,
                    subject=call.event.subject,
                    seconds=now - call.started,
                )
        waiting = [call.started for call in self.running if not call.told]
        if waiting:
            self._watch = self._clock.callLater(min(waiting) + self._slow_after - now, self._look_for_slow)


class Calls:
    """
    Calls the function of one event route.

    :param counters: where its ends are counted.
    :param in_flight: where calls that take their time are kept.
    """

    log = Logger()

    def __init__(self, function: RouteFunction, counters: RouteCounters, in_flight: CallsInFlight) -> None:
        self.counters = counters
        self.in_flight = in_flight
        self._function = function

    def call(self, event: Event) -> Deferred[None] | None:
        """
        Call it.

        :return: None if it has ended, else a Deferred that fires with None when it ends, well or not. (Most calls end
            at once, and a Deferred for each would cost as much as all the rest.)
        """
        try:
            result = self._function(event)
        except (*ROUTE_ERRORS, SystemExit):
            self.fail(event, Failure())
            return None
        if result is None or (ending := deferred_of(result)) is None:
            self.counters.succeeded += 1
            return None
        call = self.in_flight.new_call(event, ending)
        ended = ending.addCallbacks(self._succeed, self._fail, callbackArgs=(call,), errbackArgs=(call,))
        if call.ended:
            return None
        self.in_flight.add(call)
        return ended

    def fail(self, event: Event, failure: Failure) -> None:
        """Count and log a failed call."""
        self.counters.failed += 1
        if failure.check(DecodeError, RouteTimeoutError):
            # The message is at fault, or the time is over: a traceback would tell nothing of the code.
            self.log.error(
                "Event route {route} failed on a message to {subject!r}: {reason}",
                route=event.name,
                subject=event.subject,
                reason=failure.getErrorMessage(),
            )
        else:
            self.log.failure(
                "Event route {route} failed on a message to {subject!r}",
                failure=failure,
                route=event.name,
                subject=event.subject,
            )

    def _succeed(self, result: object, call: Call) -> Deferred[None] | None:
        self.counters.succeeded += 1
        return self.in_flight.end(call)

    def _fail(self, failure: Failure, call: Call) -> Deferred[None] | None:
        if call.cancelled and failure.check(CancelledError, asyncio.CancelledError):
            self.counters.failed += 1
        else:
            self.fail(call.event, failure)
        return self.in_flight.end(call)
