"""natsroute.daemon.startup"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, Settings
from natsroute.client.servers import Server
from natsroute.daemon.code.routing import Routing
from natsroute.daemon.plan import Plan
from natsroute.daemon.startup import Startup
from natsroute.errors import ConnectionLostError, ScriptError
from natsroute.hot.choice import Choice
from natsroute.routes.results import call_deferred
from tests.support.log_recorder import LogRecorder


class MemoryConnections:
    """Connections that write down what is asked of them."""

    def __init__(self) -> None:
        self.steps: list[str] = []

        self.connected: Deferred[None] = succeed(None)

    def use(self, server: object) -> None:
        self.steps.append(f"use {server}")

    def start(self, connections: object = None) -> None:
        self.steps.append(f"start {connections}" if connections else "start")

    def when_connected(self, connections: object = None) -> Deferred[None]:
        return self.connected


class MemoryServer:
    """An embedded server that starts when the test says so."""

    def __init__(self) -> None:
        self.starting: list[Deferred[Server]] = []

    def start(self) -> Deferred[Server]:
        self.starting.append(Deferred())
        return self.starting[-1]


class StartupTests(SynchronousTestCase):
    """When the connections start."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.connections: Any = MemoryConnections()
        self.server: Any = MemoryServer()
        self.steps = self.connections.steps
        self.failed: list[Failure] = []

    def startup(self, embedded: Any = None) -> Startup:
        return Startup(
            self.connections,
            "publisher's",  # type: ignore[arg-type]
            embedded,
            on_connecting=lambda: self.steps.append("on_connecting"),
            on_failed=self.failed.append,
        )

    def test_without_an_embedded_server(self) -> None:
        self.startup().begin()
        self.assertEqual(self.steps, ["start", "on_connecting"])

    def test_scripts(self) -> None:
        """They are loaded before anything is connected. If one cannot be, the log says why."""
        log, loading = LogRecorder(self), [Deferred[None](), Deferred[None]()]
        for loaded in loading:
            startup = Startup(
                self.connections,
                "publisher's",  # type: ignore[arg-type]
                None,
                on_connecting=lambda: self.steps.append("on_connecting"),
                on_failed=self.failed.append,
                load_scripts=lambda loaded=loaded: loaded,  # type: ignore[misc]
            )
            startup.begin()
            self.assertEqual(self.steps, [])
            if loaded is loading[0]:
                loaded.errback(ScriptError("a.py", 1, 2, "problem", "remedy"))
                self.assertEqual((self.steps, len(self.failed)), ([], 1))
        self.assertEqual(log.lines("error"), ["The KEMI script cannot be used: a.py:1:2: problem. remedy"])
        loading[1].callback(None)
        self.assertEqual(self.steps, ["start", "on_connecting"])

    def test_tables(self) -> None:
        """They are loaded before the other connections start, and so before the first message. A stop ends the wait."""
        loading: list[Deferred[None]] = []

        def load() -> Deferred[None]:
            loading.append(Deferred(lambda _: self.steps.append("cancelled")))
            return loading[-1]

        startup = Startup(
            self.connections,
            "publisher's",  # type: ignore[arg-type]
            None,
            on_connecting=lambda: self.steps.append("on_connecting"),
            on_failed=self.failed.append,
            load_tables=load,
        )
        startup.begin()
        self.assertEqual((self.steps, startup.step), ([], "the htables are loaded from their key-value buckets"))
        startup.cancel()
        startup.begin()
        loading[1].callback(None)
        self.assertEqual((self.steps, self.failed), (["cancelled", "start", "on_connecting"], []))

    def test_with_an_embedded_server(self) -> None:
        """The connections start when it listens, and use it."""
        self.startup(self.server).begin()
        self.assertEqual(self.steps, [])
        self.server.starting[0].callback(Server("127.0.0.1", 4333))
        self.assertEqual(self.steps, ["use nats://127.0.0.1:4333", "start", "on_connecting"])

    def test_an_embedded_server_that_fails(self) -> None:
        """The log says why, and nothing is connected."""
        startup = self.startup(self.server)
        startup.begin()
        ready = startup.ready()
        self.server.starting[0].errback(ConnectionLostError("no port"))
        self.assertEqual((self.steps, self.log.lines("error")), ([], ["The embedded server did not start: no port"]))
        self.assertEqual([failure.type for failure in self.failed], [ConnectionLostError])
        self.failureResultOf(ready, ConnectionLostError)

    def test_cancelled(self) -> None:
        """The service is stopped before the embedded server listens, or fails because of that."""
        for outcome in (Server("127.0.0.1", 4333), ConnectionLostError("ended")):
            startup = self.startup(self.server)
            startup.begin()
            startup.cancel()
            starting = self.server.starting.pop()
            if isinstance(outcome, Server):
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

    def test_hooks(self) -> None:
        """They run when the publisher is connected. All other connections start after them."""
        self.connections.connected = Deferred()
        hooks: Deferred[None] = Deferred()

        def start_hooks() -> Deferred[None]:
            self.steps.append("hooks")
            return hooks

        self.startup().begin(start_hooks)
        self.assertEqual(self.steps, ["start publisher's"])
        self.connections.connected.callback(None)
        self.assertEqual(self.steps, ["start publisher's", "hooks"])
        hooks.callback(None)
        self.assertEqual(self.steps, ["start publisher's", "hooks", "start", "on_connecting"])

    def test_steps(self) -> None:
        """What the start waits for is known at each moment."""
        server = MemoryServer()
        startup = self.startup(server)
        self.connections.connected = Deferred()
        hooks: Deferred[None] = Deferred()
        startup.begin(lambda: hooks)
        self.assertEqual(startup.step, "the embedded server starts")
        server.starting[0].callback(Server("127.0.0.1", 1))
        self.assertIn("publish workers", startup.step)
        connected, self.connections.connected = self.connections.connected, Deferred()
        connected.callback(None)
        self.assertEqual(startup.step, "the on_start hooks run")
        hooks.callback(None)
        self.assertIn("connected at the same time", startup.step)

    def test_error(self) -> None:
        """Why it failed; also why it could not even begin."""
        startup = self.startup()
        self.assertIsNone(startup.error)
        error = ValueError("the port is in use")
        startup.fail(error)
        self.assertIs(startup.error, error)
        self.assertEqual(self.log.lines("error"), ["natsroute does not start: the port is in use"])
        self.failureResultOf(startup.ready(), ValueError)
        startup.begin()
        self.assertIsNone(startup.error)

    def test_hooks_that_fail(self) -> None:
        """Nothing else starts, and the owner is told."""
        hooks: Deferred[None] = Deferred()
        startup = self.startup()
        startup.begin(lambda: hooks)
        ready = startup.ready()
        hooks.errback(ValueError("no database"))
        self.assertEqual([failure.type for failure in self.failed], [ValueError])
        startup.cancel()
        for one in (ready, startup.ready(), startup.ready()):  # also who asks later learns it
            self.failureResultOf(one, ValueError)
        self.assertEqual(self.steps, ["start publisher's"])

    def test_cancelled_during_hooks(self) -> None:
        """The hooks are cancelled. That is no failure."""
        startup = self.startup()
        startup.begin(lambda: Deferred(lambda _: self.steps.append("cancelled")))
        startup.cancel()
        self.assertEqual(self.steps, ["start publisher's", "cancelled"])
        self.assertEqual((self.failed, self.log.lines()), ([], []))

    def test_ready(self) -> None:
        """Before the start, during the start and after it; also when it starts again."""
        startup = self.startup()
        for _ in range(2):
            self.connections.connected = Deferred()
            early, cancelled = startup.ready(), startup.ready()
            cancelled.cancel()
            self.failureResultOf(cancelled, CancelledError)
            startup.begin()
            late = startup.ready()
            self.assertNoResult(early)
            self.assertNoResult(late)
            self.connections.connected.callback(None)
            for ready in (early, late, startup.ready()):
                self.successResultOf(ready)
            startup.cancel()
            self.assertNoResult(startup.ready().addErrback(lambda _: None))

    def test_not_ready(self) -> None:
        """The service is stopped before it is connected."""
        self.connections.connected = Deferred()
        startup = self.startup()
        startup.begin()
        ready = startup.ready()
        startup.cancel()
        self.failureResultOf(ready, CancelledError)


class PlanTests(SynchronousTestCase):
    """What the log says at the start."""

    hot_path = Choice(None, "reason")

    def plan(self, settings: Settings, event_routes: EventRoutes | None = None, embedded: Any = None) -> list[str]:
        log = LogRecorder(self)
        nothing: Any = None
        startup = Startup(nothing, (), embedded, lambda: None, nothing)
        startup.log_plan(Plan.of(settings, Routing(settings, event_routes, call_deferred)), hot_path=self.hot_path)
        return log.lines()

    def test_consumers(self) -> None:
        event_route = EventRoutes()
        event_route("nats:a")(lambda event: None)
        event_route("nats:>")(lambda event: None)
        settings = Settings(nats_url="nats://u:hunter2@a", subject_queue_group=["a:q", "b"], num_publish_workers=3)
        first, *consumers = self.plan(settings, event_route)
        self.assertRegex(first, r"^natsroute \d+\.\d+\.\d+: NATS servers: nats://a:4222; publish workers: 3; ")
        self.assertEqual(consumers, ["Consumer a:q -> nats:a, nats:>", "Consumer b -> nats:>"])

    def test_hot_path(self) -> None:
        """A compiled one that cannot be loaded is a warning."""
        self.hot_path = Choice(ModuleType("compiled"))
        self.assertRegex(self.plan(Settings(subject_queue_group="a:q"))[0], "; compiled hot path$")
        self.hot_path = Choice(None, "reason", "ImportError: wrong file")
        first, warning, *_ = self.plan(Settings(subject_queue_group="a:q"))
        self.assertRegex(first, r"; pure Python hot path \(reason\)$")
        self.assertEqual(
            warning,
            "The compiled hot path is installed and cannot be loaded, so natsroute is slower: ImportError: wrong file",
        )

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

    def test_warnings_of_settings(self) -> None:
        """What the settings' sources ignore is said at the start."""
        self.assertIn("x.cfg:1:2: it is ignored", self.plan(Settings(warnings=("x.cfg:1:2: it is ignored",))))

    def test_passed_over(self) -> None:
        """One line names the blocks of a ``kamailio.cfg`` that do not run."""
        path = Path(self.mktemp())
        path.write_text("request_route { t_relay(); }\nroute[A] { sl_reply(); }\n", encoding="utf-8")
        plan = self.plan(Settings.from_environment({}, kamailio_cfg=str(path)))
        self.assertIn(f"natsroute does not run these blocks of {path.resolve()}: request_route, route[A]", plan)

    def test_subjects(self) -> None:
        """Warnings about subjects; tests.test_subject_warnings has them all."""
        event_route = EventRoutes()
        event_route("nats:a")(lambda event: None)
        event_route("nats:b")(lambda event: None)
        plan = self.plan(Settings(subject_queue_group="a:q", client_name="me"), event_route)
        self.assertEqual(plan[-1], "No subject_queue_group reaches these event routes: nats:b")
