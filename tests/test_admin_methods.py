"""natsroute.daemon.admin_methods"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.admin_methods import service_methods
from natsroute.monitoring.overview import Overview, Reason


class ServiceMethodsTests(SynchronousTestCase):
    """What they return."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.overview = Overview("me", "1", (7,), 0.0, 1.0, reasons=(Reason("starting", "", "it starts"),))
        self.stops: list[None] = []
        self.methods = service_methods(self.clock, lambda: self.overview, lambda: self.stops.append(None))

    def call(self, name: str) -> Any:
        """The result of a method."""
        return self.successResultOf(self.methods.call(name, {}))

    def test_overview(self) -> None:
        """The client can make an overview of it again."""
        self.assertEqual(Overview.from_json(self.call("overview")), self.overview)

    def test_parts(self) -> None:
        whole = self.overview.as_json()
        for name, fields in {
            "ready": {"ready", "reasons"},
            "ledger": {"consumers", "routes", "publisher", "workers"},
            "connections": {"connections"},
            "routes": {"routes"},
            "calls": {"calls", "calls_in_flight"},
        }.items():
            self.assertEqual(self.call(name), {field: whole[field] for field in fields})
        self.assertIs(self.call("ready")["ready"], False)

    def test_later(self) -> None:
        """The overview of several processes takes time."""
        later: Deferred[Overview] = Deferred()
        called = service_methods(self.clock, lambda: later, lambda: None).call("ready", {})
        self.assertNoResult(called)
        later.callback(self.overview)
        self.assertEqual(self.successResultOf(called)["reasons"][0]["code"], "starting")

    def test_stop(self) -> None:
        """The answer comes first."""
        self.assertIsNone(self.call("stop"))
        self.assertEqual(self.stops, [])
        self.clock.advance(0)
        self.assertEqual(self.stops, [None])

    def test_what_changes(self) -> None:
        """Over NATS, these have to be named."""
        self.assertEqual(set(self.methods.names) - set(self.methods.reading), {"stop"})
