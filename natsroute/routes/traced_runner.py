"""Running event routes for the messages of a subscription, of which some are traced."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import inf
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.routes.concurrency import KeyedCalls
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.route import Route
from natsroute.routes.runner import ActiveRoute, FindRoute, HandTo, Runner, RunnerContext

# Messages are not counted. An integer, like a gap: to count with another type costs more.
_AT_REST = sys.maxsize


class TracedRunner(Runner):
    """
    A runner whose context has something that traces messages.

    Most messages are not traced, and for those it does no more than to look for headers and to count. While the rate
    limit lets no trace begin, it does not even count: messages without headers take their ways. For a message that is
    traced, the function of its route is replaced for one call. A route with a key may call its function later, so there
    the event is remembered.

    :param context: has ``tracing``.
    """

    def __init__(self, find: FindRoute, context: RunnerContext, **options: Any) -> None:
        super().__init__(find, context, **options)
        assert context.tracing is not None
        self._tracing = context.tracing
        self._left = context.tracing.gap()  # messages without headers up to the next that may be traced
        self._due: set[Event] = set()  # those of routes with a key that are to be traced

    def on_msg(self, event: Event) -> Deferred[None] | None:
        """The same as in a :class:`Runner`, written out again because a call of it would cost each message."""
        subject = event.address.subject
        try:
            route = self._for_subject[subject]
        except KeyError:
            route = self._find_for(subject)
        if route is None:
            return super().on_msg(event)
        call, event.context, counters = route
        counters.routed += 1
        if event.header_block:
            if not self._tracing.wants(event):
                return call(event)
        else:
            self._left -= 1
            if self._left or not self._may_begin():
                return call(event)
        return self._trace(call, self._calls[counters.route], event)

    def _may_begin(self) -> bool:
        """Whether a trace that the sampling wants may begin. If not, there is a rest until one may."""
        tracing = self._tracing
        if tracing.may_begin():
            self._left = tracing.gap()
            return True
        if tracing.rests(self._count):
            self._left = _AT_REST
            self._rest()
        else:
            self._left = tracing.gap()
        return False

    def _count(self) -> None:
        self._left = self._tracing.gap()
        self._hand_to(self.on_msg, {})

    def _rest(self) -> None:
        """Look at no messages but those with headers, in which another service may have begun a trace."""
        self._hand_to(self.on_msg, self._ways, only_without_headers=True)

    def receive_from(self, hand_to: HandTo) -> None:
        """See :meth:`Runner.receive_from <natsroute.routes.runner.Runner.receive_from>`."""
        self._hand_to = hand_to

    def _activate(self, route: Route) -> ActiveRoute:
        if self._left == inf:  # no trace ever begins here
            self._rest()
        return super()._activate(route)

    # Not in on_msg(): what a function in it uses would cost each message a cell.
    def _trace(self, call: Callable[[Event], Deferred[None] | None], calls: Any, event: Event) -> Deferred[None] | None:
        if isinstance(calls, KeyedCalls):
            self._due.add(event)
            return call(event)
        function = getattr(calls, "function", None)
        if function is None:  # a script takes messages itself, in another thread
            return call(event)
        trace = self._tracing.call

        def traced(event: Event) -> object:
            calls.function = function  # the next call is not traced, even if it comes while this one runs
            return trace(function, event)

        calls.function = traced
        return call(event)

    def _outermost(self, route: Route) -> Middleware:
        return self._traced_if_due if route.key is not None else super()._outermost(route)

    def _traced_if_due(self, function: RouteFunction) -> RouteFunction:
        due, call = self._due, self._tracing.call

        def traced_if_due(event: Event) -> object:
            if event in due:
                due.discard(event)
                return call(function, event)
            return function(event)

        return traced_if_due
