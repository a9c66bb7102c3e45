"""The calls of a script for the messages of one consumer."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute.ledger import RouteCounters
from natsroute.routes.calls import Calls
from natsroute.routes.event import Event, EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.route import Route


class Thread(Protocol):
    """A :class:`~natsroute.kamailio.kemi.script_thread.ScriptThread`, as far as it is asked here."""

    def call(self, event: Event) -> Deferred[None]:
        """Let the script handle an event, and wait for the end."""

    def hand_over(self, event: Event) -> Deferred[None] | None:
        """Let the script handle a message, after those before it."""

    def unfinished(self) -> list[Event]:
        """The messages whose call has not ended."""

    def take_rest(self) -> list[Event]:
        """The messages that no call has begun for, once the script runs no more."""


class ConsumerCalls(Calls):
    """
    The calls of a script for the messages of one consumer.

    :param thread: runs them.
    """

    def __init__(self, thread: Thread, counters: RouteCounters, in_flight: CallsInFlight) -> None:
        super().__init__(thread.call, counters, in_flight)
        self._thread = thread
        #: Takes a message; see :meth:`Thread.hand_over`.
        self.call = thread.hand_over  # type: ignore[method-assign]

    def failed(self, event: Event, failure: Failure) -> None:
        """Count and log a failed call."""
        self._fail(event, failure)

    @property
    def is_busy(self) -> bool:
        """Whether a message is in the thread."""
        return bool(self._thread.unfinished())

    def must_end_before(self, route: Route) -> bool:
        """The thread is a queue: what follows must not overtake what is in it."""
        return self.is_busy

    def take_over(self, old: Calls, context: EventContext) -> None:
        """Handle the messages that a former version of the script was stopped before."""
        if isinstance(old, ConsumerCalls):
            for event in old._thread.take_rest():
                event.context = context
                self.call(event)
