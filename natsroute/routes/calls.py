"""Calling the function of an event route: how each call ends is counted, and errors are logged."""

from __future__ import annotations

import asyncio

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from natsroute.hot import Way
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, EventContext, RouteFunction
from natsroute.routes.in_flight import Call, CallsInFlight
from natsroute.routes.results import PLAIN_TYPES, as_deferred
from natsroute.routes.route import Route
from natsroute.routes.route_errors import HandedBackError, is_exit


class Calls(Way):
    """
    The calls of one event route, one message after the other.

    :param function: the route's function, with its middleware around it.
    :param counters: counts what becomes of the events. Only these objects and the middleware write it, with one
        exception: ``routed`` and ``succeeded`` are counted by what gives a message to the function, too.
    :param in_flight: keeps the calls that do not end at once.

    :ivar function: the function. :class:`~natsroute.routes.handling_times.HandlingTimes` replaces it for some calls.
    :cvar is_plain: whether a message may be given to the function as it arrives, without :meth:`call`.
    """

    is_plain = True
    counters: RouteCounters
    function: RouteFunction

    def __init__(self, function: RouteFunction, counters: RouteCounters, in_flight: CallsInFlight) -> None:
        super().__init__(function, counters)
        self._in_flight = in_flight
        if in_flight.handling_times is not None:
            in_flight.handling_times.watch(self)

    def call(self, event: Event) -> Deferred[None] | None:
        """
        Call the function. Its errors end here, KeyboardInterrupt and GeneratorExit too: what a function raises is about
        its call. Signals end the process, and Twisted handles those without raising anything.

        :return: None if the next message may come at once, else a Deferred that fires with None when it may: when this
            call has ended, well or not. It fires in the context (contextvars) of whatever ended the call. (Most calls
            end at once, and a Deferred for each would cost as much as everything else together.)
        """
        try:
            result = self.function(event)
        except BaseException:
            self.raised(event)
            return None
        if result is None:
            self.counters.succeeded += 1
            return None
        return self.returned(event, result)

    def raised(self, event: Event) -> None:
        """Count and log a call that has raised the exception that is being handled."""
        self._fail(event, Failure())

    def returned(self, event: Event, result: object) -> Deferred[None] | None:
        """Count a call that has returned something else than None, or wait until it has ended; see :meth:`call`."""
        if type(result) in PLAIN_TYPES:
            self.counters.succeeded += 1
            return None
        in_flight = self._in_flight
        ending = result if type(result) is Deferred else as_deferred(result, in_flight.context.copy())
        if ending is None:
            self.counters.succeeded += 1
            return None
        call = in_flight.new_call(event, ending)
        ended = ending.addCallbacks(self._succeeded, self._failed, callbackArgs=(call,), errbackArgs=(call,))
        if call.ended:
            return None
        in_flight.add(call)
        return ended

    def enqueue(self) -> None:
        """Count an event that is given to the route and waits for its turn. :meth:`call_queued` ends the wait."""
        self.counters.routed += 1
        self.counters.waiting += 1

    def call_queued(self, event: Event) -> Deferred[None] | None:
        """Call the function for an event that has waited; see :meth:`call`."""
        self.counters.waiting -= 1
        return self.call(event)

    @property
    def is_busy(self) -> bool:
        """Whether calls that it has begun in its own way have not ended, or it will begin others without a message."""
        return False

    def must_end_before(self, route: Route) -> bool:
        """
        Whether what runs here must end before a new version of the route may begin. What returned a Deferred for its
        message need not: the next message waits for that anyway.
        """
        return False

    def take_over(self, old: Calls, context: EventContext) -> None:
        """
        Follow a former version of the same route, whose calls end as they began. Called before the first message.

        :param old: the calls of that version.
        :param context: is for the messages that wait there and run here.
        """

    def take_waiting(self) -> list[Event]:
        """Take out the events that wait here for their calls. They do not count as waiting any more."""
        return []

    def forget(self) -> None:
        """These calls are not needed any more, and not busy."""

    def _succeeded(self, result: object, call: Call) -> Deferred[None] | None:
        self.counters.succeeded += 1
        return self._in_flight.end(call)

    def _failed(self, failure: Failure, call: Call) -> Deferred[None] | None:
        if call.cancelled and failure.check(CancelledError, asyncio.CancelledError):
            self.counters.failed += 1
        else:
            self._fail(call.event, failure)
        return self._in_flight.end(call)

    def _fail(self, event: Event, failure: Failure) -> None:
        """Count and log a failed call; or a call that ended with ``sys.exit()``, which has not failed."""
        if is_exit(failure.value):
            self.counters.succeeded += 1
            return
        if isinstance(failure.value, HandedBackError):  # which is logged
            self.counters.handed_back += 1
            return
        self.counters.failed += 1
        self._in_flight.failures.add(event, failure)
