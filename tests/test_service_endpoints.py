"""natsroute.daemon.operations.service_endpoints"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Endpoint, Event, EventRoutes, Settings
from natsroute.daemon.code.routing import Routing
from natsroute.daemon.operations.measurements import Measurements
from natsroute.daemon.operations.service_endpoints import ServiceEndpoints
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.ledger import RouteCounters
from natsroute.routes.calls import Calls
from natsroute.routes.event import EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.results import call_deferred
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder


class ServiceEndpointsTests(SynchronousTestCase):
    """Routes at consumers, with the counters of each pair."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.clock = Clock()
        self.event_route = EventRoutes()
        self.consumers: Any = []
        self.measurements = Measurements(self.clock, list, durations=False, handling=True)
        self.in_flight = CallsInFlight(self.clock, handling_times=self.measurements.handling_times)
        self.endpoints = ServiceEndpoints(
            self.consumers,
            lambda: Routing(Settings(), self.event_route, call_deferred),
            self.measurements,
            self.in_flight.failures,
        )

    def consumer(self, entry: str, *counters: RouteCounters) -> None:
        """Add a consumer whose routes have these counters."""
        runner = SimpleNamespace(route_counters=list(counters))
        self.consumers.append(SimpleNamespace(entry=QueueEntry.parse(entry), runner=runner))

    def add(self, subject: str, function: Any = lambda event: None, **options: Any) -> None:
        """Add a route that responds."""
        self.event_route(f"nats:{subject}", responds=True, **options)(function)

    def infos(self) -> list[tuple[str, str, str]]:
        return [(info.name, info.subject, info.queue_group) for info in self.endpoints.infos()]

    def test_infos(self) -> None:
        """Only routes that respond, and that the consumer reaches."""
        self.add("calc.add")
        self.add("other")
        self.event_route("nats:calc.log")(print)
        self.consumer("calc.>:q")
        self.consumer("calc.add")
        self.assertEqual(self.infos(), [("calc-add", "calc.add", "q"), ("calc-add", "calc.add", "")])

    def test_wildcards(self) -> None:
        """The subject is what reaches the route: the narrower one of consumer and route."""
        self.add("calc.*")
        self.add("calc.add", endpoint=Endpoint("add", {"schema": "s"}))
        self.consumer("calc.add:q")  # the better route runs for it
        self.consumer("*.sub:q")
        self.consumer(">:q")
        self.assertEqual(
            self.infos(),
            [
                ("add", "calc.add", "q"),
                ("calc", "calc.sub", "q"),
                ("calc", "calc.*", "q"),
                ("add", "calc.add", "q"),
            ],
        )
        self.assertEqual(
            [dict(info.metadata) for info in self.endpoints.infos()], [{"schema": "s"}, {}, {}, {"schema": "s"}]
        )

    def test_other_code(self) -> None:
        """After a reload, the endpoints are those of the new code."""
        self.consumer("calc.*:q")
        self.add("calc.add")
        self.assertEqual(self.infos(), [("calc-add", "calc.add", "q")])
        self.event_route = EventRoutes(group="calc")
        self.add("sub")
        self.assertEqual(self.infos(), [("sub", "calc.sub", "q")])

    def test_stats_without_requests(self) -> None:
        self.add("calc.add")
        self.consumer("calc.add:q")
        (stats,) = self.endpoints.stats()
        self.assertEqual((stats.requests, stats.errors, stats.last_error, stats.seconds), (0, 0, "", 0.0))

    def test_stats(self) -> None:
        """The requests, errors and times are those of the route at this consumer."""
        counters, others = RouteCounters("nats:calc.add"), RouteCounters("nats:calc.add")

        def run(event: Event) -> None:
            self.clock.rightNow += 0.25
            if event.data:
                raise ValueError("secret")

        self.add("calc.add", run)
        self.consumer("calc.add:q", RouteCounters("nats:else"), counters)
        self.consumer("calc.>:q", others)
        for of_route, payloads in (counters, [b"", b"", b"x"]), (others, [b""]):
            calls = Calls(run, of_route, self.in_flight)
            for data in payloads:
                of_route.routed += 1
                calls.call(
                    Event.of_message(EventContext(None, self.clock, of_route), Address("calc.add", 1), data, b"")
                )  # type: ignore[arg-type]  # nothing is published
                self.clock.advance(1)
        counters.retried = 4
        one, other = self.endpoints.stats()
        self.assertEqual((one.requests, one.errors, one.seconds), (3, 1, 0.75))
        self.assertEqual((other.requests, other.errors, other.seconds), (1, 0, 0.25))
        self.assertEqual((one.last_error, other.last_error), ("the event route failed: ValueError", ""))
        self.assertEqual(one.data, {"waiting": 0, "in_progress": 0, "retried": 4, "dead_lettered": 0})
        self.flushLoggedErrors(ValueError)
