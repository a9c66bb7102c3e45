"""natsroute.daemon.operations.observation: the overview of a service."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, NatsrouteService, Settings, hot
from tests.support.expressions import make_event
from tests.support.memory_reactor import Reactor


class ObservationTests(SynchronousTestCase):
    """A service that has not reached a server."""

    def service(self, event_routes: EventRoutes | None = None) -> NatsrouteService:
        """A service with one consumer."""
        self.reactor = Reactor()
        settings = Settings(subject_queue_group="one:q", num_publish_workers=2)
        return NatsrouteService(settings, event_routes or EventRoutes(), reactor=self.reactor)

    def test_not_started(self) -> None:
        """It is not ready, and says why."""
        overview = self.service().overview()
        self.assertEqual({reason.code for reason in overview.reasons}, {"stopping", "not_connected"})
        self.assertEqual((overview.pids, overview.hot_path), ((os.getpid(),), hot.IMPLEMENTATION))

    def test_starting(self) -> None:
        """Each connection is named."""
        service = self.service()
        service.startService()
        self.addCleanup(service.stopService)
        overview = service.overview()
        self.assertEqual([reason.code for reason in overview.reasons], ["starting", *["not_connected"] * 3])
        self.assertEqual(
            [row.purpose for row in overview.connections], ["publish worker 1", "publish worker 2", "consumer one:q"]
        )
        self.assertEqual([row.name for row in overview.consumers], ["one:q"])
        self.assertEqual([row.name for row in overview.workers], ["publish worker 1", "publish worker 2"])

    def test_bytes_held(self) -> None:
        """What a worker holds until it is confirmed."""
        service = self.service()
        service.startService()
        self.addCleanup(service.stopService)
        service.publish("a", b"x" * 100).addErrback(lambda failure: None)
        self.assertGreater(sum(row.bytes_held for row in service.overview().workers), 100)
        self.assertEqual(service.overview().publisher.in_progress, 1)

    def test_stopping(self) -> None:
        """A service that stops is not ready."""
        service = self.service()
        service.startService()
        service.stopService()
        self.assertEqual(service.overview().reasons[0].code, "stopping")

    def test_calls(self) -> None:
        """The oldest first, with their age."""
        service = self.service()
        for subject in ("one", "two"):
            service.in_flight.add(service.in_flight.new_call(make_event(subject=subject), Deferred()))
            self.reactor.advance(2)
        overview = service.overview()
        self.assertEqual([(row.subject, row.age) for row in overview.calls], [("one", 4.0), ("two", 2.0)])
        self.assertEqual(overview.calls_in_flight, 2)
