"""Test cases for calls of an event route, and for the middleware around them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.ledger import RouteCounters
from natsroute.middleware import Middleware
from natsroute.routes.calls import Calls
from natsroute.routes.event import EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.testing import RouteTester
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder


def an_event(data: bytes = b"", subject: str = "a.b", header_block: bytes = b"") -> Event:
    """The event of a message, for a route ``nats:a.*`` that publishes nothing."""
    context = EventContext(lambda *message, **options: succeed(None), Clock(), RouteCounters("nats:a.*"))
    return Event.of_message(context, Address(subject, 1), data, header_block)


class CallsTestCase(SynchronousTestCase):
    """
    Calls of any function.

    :ivar clock: moves only when the test advances it.
    :ivar in_flight: logs calls that are still running after 30 s.
    :ivar counters: the counters of ``nats:a.*``.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.in_flight = CallsInFlight(self.clock, slow_after=30.0)
        self.counters = RouteCounters("nats:a.*")
        self.log = LogRecorder(self)

    def call(self, function: Any, event: Event) -> Deferred[None] | None:
        """Call a function for an event, as the runner does."""
        self.counters.routed += 1
        return Calls(function, self.counters, self.in_flight).call(event)

    def counts(self) -> tuple[int, int, int]:
        """Calls that succeeded, that failed, and that are in progress."""
        self.assertEqual(self.counters.in_progress, len(self.in_flight.running))
        return self.counters.succeeded, self.counters.failed, self.counters.in_progress


class MiddlewareTestCase(SynchronousTestCase):
    """
    A route ``nats:a`` with middleware, run by the tester that users have: it runs middleware as production does.

    :ivar events: the events that the route was called with.
    :ivar results: what the next calls return or raise, one after the other.
    """

    def setUp(self) -> None:
        self.events: list[Event] = []
        self.results: list[Any] = []

    def route(self, event: Event) -> Any:
        """Return or raise the next result; return None if there is none."""
        self.events.append(event)
        result = self.results.pop(0) if self.results else None
        if isinstance(result, BaseException):
            raise result
        return result

    def make(self, *middleware: Middleware, **options: Any) -> RouteTester:
        """A tester of the route, and of ``nats:connected`` with the same options, unless the route responds."""
        event_route = EventRoutes(middleware=options.pop("middleware_of_all", ()))
        event_route("nats:a", middleware=middleware, **options)(self.route)
        if not options.get("responds"):
            event_route("nats:connected", **options)(self.route)
        return RouteTester(event_route)

    @property
    def counters(self) -> RouteCounters:
        """The counters of the last event."""
        return self.events[-1].counters
