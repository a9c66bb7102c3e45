"""The calls of a script for the messages of one consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute.ledger import RouteCounters
from natsroute.routes.acknowledging import RouteAcknowledgement
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
    :param acknowledgement: acknowledges the messages, if they come from a stream; else None.
    """

    is_plain = False

    def __init__(
        self,
        thread: Thread,
        counters: RouteCounters,
        in_flight: CallsInFlight,
        acknowledgement: RouteAcknowledgement | None = None,
    ) -> None:
        super().__init__(thread.call, counters, in_flight)
        self._thread = thread
        self._acknowledgement = acknowledgement
        self._unacknowledged: deque[Event] = deque()  # of a stream, in the order in which their calls end
        #: Takes a message; see :meth:`Thread.hand_over`.
        self.call = (  # type: ignore[method-assign]
            thread.hand_over if acknowledgement is None else self._hand_over
        )

    def _hand_over(self, event: Event) -> Deferred[None] | None:
        self._unacknowledged.append(event)
        return self._thread.hand_over(event)

    def ended(self, count: int, failures: Iterable[tuple[Event, Failure]]) -> None:
        """
        Count the calls that have ended, acknowledge their messages, and log those that failed.

        :param count: how many have ended since the last time.
        :param failures: of these, the ones that failed, in order.
        """
        failures = deque(failures)
        acknowledgement = self._acknowledgement
        if acknowledgement is None:
            self.counters.succeeded += count - len(failures)
            for event, failure in failures:
                self.failed(event, failure)
            return
        for _ in range(count):
            event = self._unacknowledged.popleft()
            if not failures or failures[0][0] is not event:
                self.counters.succeeded += 1
                acknowledgement.succeeded(event)
            elif acknowledgement.failed(event, failures[0][1]):
                self.counters.handed_back += 1
                failures.popleft()
            else:
                self.failed(*failures.popleft())

    def abandoned(self, count: int) -> None:
        """
        Count calls that will not end: the script does not return.

        :param count: how many, the oldest. Their messages, if they come from a stream, are delivered again.
        """
        if self._acknowledgement is None:
            self.counters.failed += count
            return
        for _ in range(count):
            self.counters.handed_back += 1
            self._acknowledgement.consumer.hand_back(self._unacknowledged.popleft())

    def failed(self, event: Event, failure: Failure) -> None:
        """Count and log a failed call."""
        self._fail(event, failure)

    @property
    def is_busy(self) -> bool:
        """Whether a message is in the thread."""
        return bool(self._thread.unfinished())

    def take_waiting(self) -> list[Event]:
        """The messages that no call has begun for, and none will."""
        rest = self._thread.take_rest()
        if self._acknowledgement is not None:
            for _ in rest:
                self._unacknowledged.pop()
        return rest

    def must_end_before(self, route: Route) -> bool:
        """The thread is a queue: what follows must not overtake what is in it."""
        return self.is_busy

    def take_over(self, old: Calls, context: EventContext) -> None:
        """Handle the messages that a former version of the script was stopped before."""
        if isinstance(old, ConsumerCalls):
            for event in old.take_waiting():
                event.context = context
                self.call(event)
