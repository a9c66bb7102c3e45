"""Which messages of event routes are traced. It needs no OpenTelemetry: most messages are not."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from natsroute.monitoring.sampling import Rests, Sampler
from natsroute.monitoring.trace_context import find_parent
from natsroute.routes.event import Event, RouteFunction


@attrs.frozen
class TracedMessages:
    """
    Decides which messages are traced, and traces them.

    :param pass_on: lets what an untraced event publishes carry the parent that its message had.
    :param rests: of the sampler; None: messages are counted even while no trace may begin.

    :ivar call: calls the function of a route with an event, in a span.
    """

    _sampler: Sampler
    call: Callable[[RouteFunction, Event], object]
    _pass_on: Callable[[Event], None]
    _rests: Rests | None = None

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

    def rests(self, on_end: Callable[[], None]) -> bool:
        """
        Whether no trace may begin for a while, except for messages with headers. Call this after :meth:`may_begin` has
        said no.

        :param on_end: if so, called when one may begin again.
        """
        if self._rests is None:
            return False
        self._rests.begin(on_end)
        return True
