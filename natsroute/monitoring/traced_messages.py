"""Which messages of event routes are traced. It needs no OpenTelemetry: most messages are not."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from natsroute.monitoring.sampling import Sampler
from natsroute.monitoring.trace_context import find_parent
from natsroute.routes.event import Event, RouteFunction


@attrs.frozen
class TracedMessages:
    """
    Decides which messages are traced, and traces them.

    :param pass_on: lets what an untraced event publishes carry the parent that its message had.

    :ivar call: calls the function of a route with an event, in a span.
    """

    _sampler: Sampler
    call: Callable[[RouteFunction, Event], object]
    _pass_on: Callable[[Event], None]

    def wants(self, event: Event) -> bool:
        """Whether a message is traced. If it is not, but has a parent, its event passes that on."""
        block = event.header_block
        if block and (found := find_parent(block)) is not None:
            if self._sampler.follows(found["trace"], found["flags"]):
                return True
            self._pass_on(event)
            return False
        return self._sampler.begins()

    def gap(self) -> float:
        """With which message without headers a trace should begin, counted from 1."""
        return self._sampler.gap()

    def may_begin(self) -> bool:
        """Whether it may begin then."""
        return self._sampler.allows()
