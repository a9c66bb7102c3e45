"""natsroute.daemon.operations.admin_methods"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.admin.errors import MethodError
from natsroute.admin.methods import Methods
from natsroute.daemon.operations.admin_methods import add_log_level, service_methods
from natsroute.daemon.operations.process_log import ProcessLog
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
            "ledger": {"consumers", "routes", "publisher", "requests", "workers"},
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


class LogLevelTests(SynchronousTestCase):
    """What twistd logs can be changed while it runs."""

    def call(self, log: ProcessLog | None, **params: object) -> Any:
        methods = Methods()
        add_log_level(methods, log)
        return methods.call("log_level", params)

    def test_levels(self) -> None:
        log = ProcessLog(Settings(log_level="warn"), {"nodaemon": True})
        self.assertEqual(self.successResultOf(self.call(log)), {"rules": ["warn"]})
        changed = self.call(log, rules=["info", "natsroute.client=debug"])
        self.assertEqual(self.successResultOf(changed), {"rules": ["info", "natsroute.client=debug"]})
        self.assertEqual(log.levels.rules, ("info", "natsroute.client=debug"))

    def test_mistakes(self) -> None:
        """The error says what is wrong, and nothing has changed."""
        log = ProcessLog(Settings(), {"nodaemon": True})
        for rules, problem in [
            (["debug", "loud"], "log_level = 'loud'"),
            ([5], "rules must be texts"),
            ("warn", "rules"),
        ]:
            error = self.failureResultOf(self.call(log, rules=rules)).value
            self.assertIn(problem, str(error))
            self.assertEqual(log.levels.rules, ("info",))

    def test_log_of_the_program(self) -> None:
        """A program that composes the service has its own log; and so has twistd with a --logger."""
        for log in (None, ProcessLog(Settings(), {"logger": self.call})):
            error = self.failureResultOf(self.call(log, rules=["warn"]), MethodError).value
            self.assertIn("not natsroute's", str(error))
