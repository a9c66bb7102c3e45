"""natsroute.daemon.operations.readiness: tests.integration.test_readyz has it with a real server"""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

from twisted.internet import error as twisted_error
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change
from natsroute.daemon.lifecycle import Phase
from natsroute.daemon.operations.readiness import UNCONFIRMED_AFTER, LastFailures, Readiness
from natsroute.errors import AuthorizationError, ConnectionLostError, ServerError, ServerLeftError
from natsroute.monitoring.http.channel import IDLE_TIMEOUT, MAX_CONNECTIONS, REQUEST_TIMEOUT, WRITE_TIMEOUT
from natsroute.monitoring.http.health import ready
from natsroute.monitoring.http.resources import ANSWER_TIMEOUT
from natsroute.monitoring.http.stand_in import DEAD_AFTER, TAKE_OVER_AFTER
from natsroute.monitoring.overview import Reason
from tests.support.documents import documents, snippet

A, B = Server("a"), Server("b")


class Connection:
    """A connection whose state the test says."""

    def __init__(self) -> None:
        self.state = State.CONNECTED
        self.observe = self._take

    def _take(self, observer: Any) -> None:
        self.observer = observer

    def report(self, state: State, event: ConnectionEvent, server: Server | None = A, reason: Any = None) -> None:
        """A change."""
        self.state = state
        self.observer(Change(event, server, reason))


class ReadinessTestCase(SynchronousTestCase):
    """A service with one publish worker and one consumer, both connected."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.worker, self.consumer = Connection(), Connection()
        self.connections: Any = SimpleNamespace(
            named=[("publish worker 1", self.worker), ("consumer a:q", self.consumer)]
        )
        limits = SimpleNamespace(messages=10, bytes=100)
        self.buffer = SimpleNamespace(messages=0, free=100, limits=limits)
        self.written = SimpleNamespace(oldest=None)
        self.startup: Any = SimpleNamespace(is_ready=True, error=None, step="everything waits")
        self.lifecycle: Any = SimpleNamespace(phase=Phase.RUNNING)
        self.pending: tuple[str, float] | None = None
        self.problems: list[tuple[str, str]] = []
        self.stream_problems: list[tuple[str, str]] = []
        self.make()

    def make(self) -> None:
        """Make it with the connections that there are."""
        self.readiness = Readiness(
            self.clock,
            self.connections,
            [SimpleNamespace(buffer=self.buffer, written=self.written)],
            self.startup,
            lambda: self.pending,
            self.lifecycle,
            lambda: self.problems,
            lambda: self.stream_problems,
        )

    def reasons(self) -> list[tuple[str, str, str]]:
        """Code, about and text of each."""
        return [(reason.code, reason.about, reason.text) for reason in self.readiness.reasons()]


class ReadinessTests(ReadinessTestCase):
    """What it says of each trouble."""

    def test_ready(self) -> None:
        self.assertEqual(self.reasons(), [])

    def test_draining_connection(self) -> None:
        """It is still connected."""
        self.consumer.state = State.DRAINING
        self.assertEqual(self.reasons(), [])

    def test_server_down(self) -> None:
        self.consumer.report(State.WAITING, ConnectionEvent.DISCONNECTED, A, ConnectionLostError("it was cut."))
        text = "consumer a:q is not connected, and waits before it tries again. nats://a:4222: it was cut"
        self.assertEqual(self.reasons(), [("not_connected", "consumer a:q", text)])
        self.consumer.report(
            State.CONNECTING, ConnectionEvent.CONNECT_FAILED, A, twisted_error.ConnectionRefusedError(111, "No")
        )
        ((_, _, text),) = self.reasons()
        self.assertIn("tries to connect. nats://a:4222: Connection was refused by other side", text)
        self.consumer.report(State.CONNECTED, ConnectionEvent.CONNECTED)
        self.assertEqual(self.reasons(), [])
        self.consumer.report(State.WAITING, ConnectionEvent.DISCONNECTED, B, ConnectionLostError("again"))
        self.assertNotIn("nats://a", self.reasons()[0][2])

    def test_a_consumer_of_a_stream_that_is_missing(self) -> None:
        """With the text of the server, made safe."""
        self.problems = [("consumer CALLS:billing", "consumes nothing: consumer not found\n")]
        text = "consumer CALLS:billing consumes nothing: consumer not found\\n"
        self.assertEqual(self.reasons(), [("not_consuming", "consumer CALLS:billing", text)])

    def test_a_stream_that_differs(self) -> None:
        self.stream_problems = [("stream calls", "cannot be used: max_age is 5\x1b")]
        text = "stream calls cannot be used: max_age is 5\\x1b"
        self.assertEqual(self.reasons(), [("no_stream", "stream calls", text)])

    def test_login_refused(self) -> None:
        """With the text of the server, made safe."""
        error = AuthorizationError("Authorization Violation\x1b\n")
        self.worker.report(State.WAITING, ConnectionEvent.CONNECT_FAILED, A, error)
        ((code, about, text),) = self.reasons()
        self.assertEqual((code, about), ("not_connected", "publish worker 1"))
        self.assertIn("Authorization Violation\\x1b\\n", text)

    def test_subscription_refused(self) -> None:
        error = ServerError('Permissions Violation for Subscription to "a"')
        self.consumer.report(State.REFUSED, ConnectionEvent.REFUSED, A, error)
        ((code, _, text),) = self.reasons()
        self.assertEqual(code, "not_subscribed")
        self.assertIn("consumer a:q is not subscribed. nats://a:4222: ", text)
        self.assertIn('Permissions Violation for Subscription to "a"', text)

    def test_lame_duck(self) -> None:
        """A worker without a server cannot publish. A consumer may still receive what is on its way."""
        for connection in (self.worker, self.consumer):
            connection.report(State.LAME_DUCK, ConnectionEvent.LAME_DUCK, A, ServerLeftError())
        self.assertEqual([reason[0] for reason in self.reasons()], ["cannot_publish", "not_connected"])
        self.assertIn("leaves its server, which shuts down", self.reasons()[0][2])

    def test_full(self) -> None:
        self.buffer.messages = 10
        self.assertEqual(
            self.reasons(),
            [
                (
                    "cannot_publish",
                    "publish worker 1",
                    "publish worker 1 can take no more messages: 10 of them are not confirmed",
                )
            ],
        )
        self.buffer.messages, self.buffer.free = 1, 0
        self.assertEqual(len(self.reasons()), 1)

    def test_stuck(self) -> None:
        """A server that takes nothing, or a connection that is gone without a word."""
        self.written.oldest = self.clock.seconds()
        self.clock.advance(UNCONFIRMED_AFTER - 0.1)
        self.assertEqual(self.reasons(), [])
        self.clock.advance(0.1)
        text = "publish worker 1 is connected, but the server has not confirmed a message for 5 s"
        self.assertEqual(self.reasons(), [("cannot_publish", "publish worker 1", text)])

    def test_starting(self) -> None:
        self.startup.is_ready = False
        self.assertEqual(self.reasons(), [("starting", "", "the service starts: everything waits")])

    def test_hung_on_start(self) -> None:
        self.startup.is_ready = False
        self.pending = ("open_database (routes.py:3)", 42.4)
        text = "on_start hook open_database (routes.py:3) has not ended after 42 s"
        self.assertEqual(self.reasons(), [("starting", "open_database (routes.py:3)", text)])

    def test_failed(self) -> None:
        """It is fatal, whatever the service does."""
        self.startup.is_ready = False
        self.startup.error = ValueError("no\n")
        reason = Reason("failed", "", "the start failed: no\\n")
        self.assertEqual(list(self.readiness.reasons()), [reason])
        self.assertEqual(self.readiness.fatal(), [reason])
        self.lifecycle.phase = Phase.STOPPING
        self.assertEqual([reason[0] for reason in self.reasons()], ["failed", "stopping"])

    def test_stopping(self) -> None:
        for phase in (Phase.STOPPING, Phase.RESTARTING, Phase.STOPPED):
            self.lifecycle.phase = phase
            self.assertEqual([reason[0] for reason in self.reasons()], ["stopping"])
        self.assertEqual(self.readiness.fatal(), [])

    def test_every_state(self) -> None:
        """Each has words."""
        for state in State:
            self.consumer.state = state
            self.assertEqual(len(self.reasons()), 0 if state.is_connected else 1)


class LastFailuresTests(SynchronousTestCase):
    """Several servers."""

    def setUp(self) -> None:
        self.connection = Connection()
        connection: Any = self.connection
        self.failures = LastFailures(connection)

    def fail(self, server: str, reason: str) -> None:  # type: ignore[override]
        """An attempt fails."""
        self.connection.report(
            State.WAITING, ConnectionEvent.CONNECT_FAILED, Server(server), ConnectionLostError(reason)
        )

    def test_last_of_each_server(self) -> None:
        """The last one that failed is the last one named; there are three of them."""
        self.assertEqual(str(self.failures), "")
        for server, reason in [("a", "1"), ("b", "2"), ("a", "3")]:
            self.fail(server, reason)
        self.assertEqual(str(self.failures), ". nats://b:4222: 2. nats://a:4222: 3")
        for server in "cd":
            self.fail(server, "4")
        self.assertEqual(str(self.failures), ". nats://a:4222: 3. nats://c:4222: 4. nats://d:4222: 4")

    def test_bounded(self) -> None:
        self.fail("a", "x" * 10_000)
        self.assertLess(len(str(self.failures)), 400)

    def test_closed(self) -> None:
        """A service that stops forgets them."""
        self.fail("a", "1")
        self.connection.report(State.CLOSED, ConnectionEvent.CLOSED, None)
        self.assertEqual(str(self.failures), "")


class DocumentTests(ReadinessTestCase):
    """docs/monitoring.md shows what is said."""

    def test_json(self) -> None:
        """A server that is down."""
        self.connections.named[1] = ("consumer Kamailio-World:2021", self.consumer)
        self.make()
        error = twisted_error.ConnectionRefusedError(111, "Connection refused")
        self.consumer.report(State.WAITING, ConnectionEvent.CONNECT_FAILED, Server("10.0.0.1"), error)
        shown = json.loads(snippet("docs/monitoring.md", "Health", "json").text)
        answer = ready(list(self.readiness.reasons()), detail=True)
        self.assertEqual((answer.status, json.loads(answer.body)), (503, shown))

    def test_codes(self) -> None:
        """Each that the overview describes has a row."""
        (page,) = [document for document in documents() if document.name == "docs/monitoring.md"]
        described = re.search(r":ivar code: what kind of reason: (.*?)\n\s*:ivar", Reason.__doc__ or "", re.DOTALL)
        assert described is not None
        codes = re.findall(r"``(\w+)``", described[1])
        self.assertEqual(sorted(codes), sorted(re.findall(r"^\| `(\w+)` \|", page.text, re.MULTILINE)))

    def test_numbers(self) -> None:
        """They are those of the code."""
        (page,) = [document for document in documents() if document.name == "docs/monitoring.md"]
        for words in (
            f"{UNCONFIRMED_AFTER:.0f} seconds after it has published",
            f"no sign of life for\n{TAKE_OVER_AFTER:.0f} seconds"[:0]
            + f"\n{TAKE_OVER_AFTER:.0f} seconds, the thread answers",
            f"once the reactor has been blocked for {DEAD_AFTER:.0f} seconds",
            f"| connections | {MAX_CONNECTIONS}.",
            f"| time for a request | {REQUEST_TIMEOUT:.0f} s",
            f"| time between two requests | {IDLE_TIMEOUT:.0f} s",
            f"| client that does not read | {WRITE_TIMEOUT:.0f} s",
            f"| answer | {ANSWER_TIMEOUT:.0f} s",
        ):
            self.assertIn(words, page.text)
