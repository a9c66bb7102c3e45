"""
How long the calls of event routes take, without a look at the clock for each message.

A call that does not end at once is measured, each one. A call that ends at once takes a few microseconds, and so would
measuring it. So of these one is measured in each :data:`INTERVAL` and route, and it stands for all since the one before
it. A route with less traffic than that has each of its calls measured.

To measure the next call of a route, its function is replaced for that call. The other calls pay nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, RouteFunction
from natsroute.routes.results import PLAIN_TYPES, as_deferred

#: Seconds after a measured call in which none of the same route is measured.
INTERVAL = 0.01

#: Routes that are measured again after one :data:`INTERVAL`; the others follow. This bounds the cost of many routes.
MAX_ROUTES = 10


class Calls(Protocol):
    """The calls of a route, as far as they are measured: :class:`natsroute.routes.calls.Calls`."""

    function: RouteFunction
    counters: RouteCounters


@attrs.define(eq=False)
class _Account:
    """
    Which calls of a route are in its histogram.

    :ivar counters: count all of them.
    :ivar in_flight: calls that did not end at once, and have ended. Each was measured.
    :ivar at_once: calls that ended at once, and for which a measured one stands.
    :ivar last: seconds of the last measured one of these; None if there was none.
    """

    counters: RouteCounters
    in_flight: int = 0
    at_once: int = 0
    last: float | None = None

    def take_at_once(self, running: int = 0) -> int:
        """
        The number of calls that ended at once since this was called last.

        :param running: calls that end now, and are not counted yet.
        """
        ended = self.counters.succeeded + self.counters.failed + running - self.in_flight
        new = ended - self.at_once
        self.at_once = ended
        return new


class HandlingTimes:
    """
    Measures the calls of all event routes of a service.

    :param clock: the reactor.
    :param on_handled: called with the counters of a route, the seconds that a call of it took, and how many calls it
        stands for.
    """

    def __init__(self, clock: IReactorTime, on_handled: Callable[[RouteCounters, float, int], None]) -> None:
        self._clock = clock
        self._on_handled = on_handled
        self._context = copy_context()
        self._accounts: dict[RouteCounters, _Account] = {}
        self._measured: deque[Calls] = deque()  # whose next call is not measured, the oldest first
        self._next: IDelayedCall | None = None

    def watch(self, calls: Calls) -> None:
        """Measure the calls of a route from now on, the next one first."""
        self._measure_next(calls)

    def ended(self, counters: RouteCounters, started: float) -> None:
        """
        A call has ended that did not end at once. Call this when its counters have it.

        :param counters: those of its route.
        :param started: when it began, in seconds on the reactor's clock.
        """
        self._account(counters).in_flight += 1
        self._on_handled(counters, self._clock.seconds() - started, 1)

    def settle(self) -> None:
        """Report the calls since the last measured one of each route: that one stands for them too."""
        for account in self._accounts.values():
            if account.last is not None:
                self._report(account, account.last, account.take_at_once())

    def stop(self) -> None:
        """Leave nothing in the reactor. The next call of each route is measured."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        while self._measured:
            self._measure_next(self._measured.popleft())

    def _measure_next(self, calls: Calls) -> None:
        function, account, seconds = calls.function, self._account(calls.counters), self._clock.seconds

        def measured(event: Event) -> Deferred[object] | None:
            calls.function = function
            self._measured.append(calls)
            if self._next is None:
                self._next = self._clock.callLater(INTERVAL, self._measure_some)
            began = seconds()
            try:
                ending = self._ending(function(event))
            except BaseException:
                self._ended_at_once(account, seconds() - began)
                raise
            if ending is None or (ending.called and not ending.paused):
                self._ended_at_once(account, seconds() - began)
            return ending

        calls.function = measured

    def _ending(self, result: object) -> Deferred[object] | None:
        """What a call returned, as :class:`~natsroute.routes.calls.Calls` would see it."""
        if type(result) in PLAIN_TYPES:
            return None
        return result if type(result) is Deferred else as_deferred(result, self._context.copy())

    def _measure_some(self) -> None:
        self._next = None
        for _ in range(min(MAX_ROUTES, len(self._measured))):
            self._measure_next(self._measured.popleft())
        if self._measured:
            self._next = self._clock.callLater(INTERVAL, self._measure_some)

    def _ended_at_once(self, account: _Account, seconds: float) -> None:
        account.last = seconds
        self._report(account, seconds, account.take_at_once(running=1))

    def _report(self, account: _Account, seconds: float, count: int) -> None:
        if count > 0:
            self._on_handled(account.counters, seconds, count)

    def _account(self, counters: RouteCounters) -> _Account:
        account = self._accounts.get(counters)
        if account is None:
            account = self._accounts[counters] = _Account(counters)
        return account
