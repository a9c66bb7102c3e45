"""natsroute.daemon.startup"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, Settings
from natsroute.daemon.routing import Routing
from natsroute.daemon.startup import Startup
from natsroute.errors import ConnectionLostError
from tests.support.log_recorder import LogRecorder


class MemoryConnections:
    """Connections that write down what is asked of them."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def use(self, server: object) -> None:
        self.steps.append(f"use {server}")

    def start(self) -> None:
        self.steps.append("start")


class MemoryServer:
    """An embedded server that starts when the test says so."""

    def __init__(self) -> None:
        self.starting: list[Deferred[str]] = []

    def start(self) -> Deferred[str]:
        self.starting.append(Deferred())
        return self.starting[-1]


class StartupTests(SynchronousTestCase):
    """When the connections start."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.connections: Any = MemoryConnections()
        self.server: Any = MemoryServer()
        self.steps = self.connections.steps

    def startup(self, embedded: Any = None) -> Startup:
        return Startup(self.connections, embedded, on_connecting=lambda: self.steps.append("on_connecting"))

    def test_without_an_embedded_server(self) -> None:
        self.startup().begin()
        self.assertEqual(self.steps, ["start", "on_connecting"])

    def test_with_an_embedded_server(self) -> None:
        """The connections start when it listens, and use it."""
        self.startup(self.server).begin()
        self.assertEqual(self.steps, [])
        self.server.starting[0].callback("nats://127.0.0.1:4333")
        self.assertEqual(self.steps, ["use nats://127.0.0.1:4333", "start", "on_connecting"])

    def test_an_embedded_server_that_fails(self) -> None:
        """The log says why, and nothing is connected."""
        self.startup(self.server).begin()
        self.server.starting[0].errback(ConnectionLostError("no port"))
        self.assertEqual((self.steps, self.log.lines("error")), ([], ["The embedded server did not start: no port"]))

    def test_cancelled(self) -> None:
        """The service is stopped before the embedded server listens, or fails because of that."""
        for outcome in ("nats://127.0.0.1:4333", ConnectionLostError("ended")):
            startup = self.startup(self.server)
            startup.begin()
            startup.cancel()
            starting = self.server.starting.pop()
            if isinstance(outcome, str):
                starting.callback(outcome)
            else:
                starting.errback(outcome)
            self.assertNotIn("start", self.steps)
        self.assertEqual(self.log.lines(), [])

    def test_started_again(self) -> None:
        startup = self.startup()
        startup.begin()
        startup.cancel()
        startup.begin()
        self.assertEqual(self.steps, ["start", "on_connecting"] * 2)


class PlanTests(SynchronousTestCase):
    """What the log says at the start."""

    def plan(self, settings: Settings, event_routes: EventRoutes | None = None, embedded: Any = None) -> list[str]:
        log = LogRecorder(self)
        startup = Startup(Any, embedded, lambda: None)  # type: ignore[arg-type]
        startup.log_plan(settings, Routing(settings, event_routes))
        return log.lines()

    def test_consumers(self) -> None:
        event_route = EventRoutes()
        event_route("nats:a")(lambda event: None)
        event_route("nats:>")(lambda event: None)
        settings = Settings(nats_url="nats://u:hunter2@a", subject_queue_group=["a:q", "b"], num_publish_workers=3)
        first, *consumers = self.plan(settings, event_route)
        self.assertRegex(first, r"^natsroute \d+\.\d+\.\d+: NATS servers: nats://a:4222; publish workers: 3$")
        self.assertEqual(consumers, ["Consumer a:q -> nats:a, nats:>", "Consumer b -> nats:>"])

    def test_embedded_server(self) -> None:
        self.assertIn(
            "NATS servers: the embedded server;", self.plan(Settings(embedded_server=True), None, object())[0]
        )

    def test_nothing_to_do(self) -> None:
        """No consumer, and a consumer without a route, are probably mistakes."""
        self.assertIn("No subject_queue_group is set", self.plan(Settings())[1])
        self.assertIn(
            "Consumer a:q has no event route: add one named 'nats:a'", self.plan(Settings(subject_queue_group="a:q"))
        )
