"""What a runner of traced messages asks of tracing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from natsroute.routes.event import Event, RouteFunction


class MessageTracing(Protocol):
    """Traces messages: see :class:`~natsroute.routes.traced_runner.TracedRunner`."""

    def wants(self, event: Event) -> bool:
        """Whether a message is traced."""

    def gap(self) -> float:
        """With which message without headers a trace should begin, counted from 1."""

    def may_begin(self) -> bool:
        """Whether it may begin then."""

    def rests(self, on_end: Callable[[], None]) -> bool:
        """
        Whether no trace may begin for a while, except for messages with headers.

        :param on_end: if so, called when one may begin again.
        """

    @property
    def call(self) -> Callable[[RouteFunction, Event], object]:
        """Calls the function of a route with an event, in a span."""
