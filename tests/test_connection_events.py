"""natsroute.daemon.connection_events"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server
from natsroute.daemon.connection_events import MAX_HELD, ConnectionEvents
from natsroute.errors import AuthorizationError, PendingLimitError, PermissionsError, ServerError, SlowConsumerError
from natsroute.routes.calls import CallsInFlight
from natsroute.routes.runner import ConnectionRunner, RunnerContext
from natsroute.routes.table import RouteTable
from tests.support.memory_network import MemoryNetwork, info


class ConnectionEventsTests(SynchronousTestCase):
    """Which route runs, with which server and error."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.events: list[tuple[str, str | None, Any]] = []
        event_route = EventRoutes()
        for name in ("connected", "disconnected", "error", "slow_consumer"):
            event_route(f"nats:{name}")(self.record)
        self.connection = Connection(
            self.network.clock,
            ServerPool([Server("a"), Server("b")], Backoff(2.0, 10.0, 0.0), keep_order=True),
            endpoint_for=self.network.endpoint_for,
        )
        publish: Any = None
        in_thread: Any = None
        context = RunnerContext(publish, self.network.clock, in_thread, CallsInFlight(self.network.clock))
        runner = ConnectionRunner(RouteTable(event_route).get, context, queue_group="q")
        self.connection_events = ConnectionEvents(self.connection, runner)
        self.connection.startService()
        self.network.clock.advance(0)

    def record(self, event: Event) -> None:
        self.assertEqual(event.queue_group, "q")
        self.events.append((event.name, event.server, event.error))

    def test_connected_and_disconnected(self) -> None:
        self.network.link.shake_hands()
        self.network.link.lose()
        self.assertEqual(
            self.events, [("nats:connected", "nats://a:4222", None), ("nats:disconnected", "nats://a:4222", None)]
        )

    def test_moved_in_lame_duck_mode(self) -> None:
        """There was a server all the time: a queue group is subscribed at the new one first."""
        self.connection.subscribe("a", lambda msg: None, "q")
        old = self.network.link
        old.shake_hands()
        old.receive(info(ldm=True))
        self.network.clock.advance(0)
        self.network.link.shake_hands()
        old.answer_pings()
        old.lose()
        self.network.link.lose()
        self.assertEqual(
            self.events,
            [
                ("nats:connected", "nats://a:4222", None),
                ("nats:connected", "nats://b:4222", None),
                ("nats:disconnected", "nats://b:4222", None),
            ],
        )

    def test_an_attempt_that_fails(self) -> None:
        """It is no event, unless the server said why."""
        self.network.link.lose()
        self.assertEqual(self.events, [])

    def test_a_login_that_is_refused(self) -> None:
        self.network.link.receive(info() + b"-ERR 'Authorization Violation'\r\n")
        self.network.link.lose()
        [(name, server, error)] = self.events
        self.assertEqual((name, server, type(error)), ("nats:error", "nats://a:4222", AuthorizationError))

    def test_a_server_error(self) -> None:
        self.network.link.shake_hands()
        self.events.clear()
        self.network.link.receive(b"-ERR 'Something new'\r\n")
        [(name, server, error)] = self.events
        self.assertEqual((name, server, type(error)), ("nats:error", "nats://a:4222", ServerError))

    def test_an_error_of_a_server_that_is_left(self) -> None:
        """The event names the server that sent the error, and not the one that is in use now."""
        self.connection.subscribe("a", lambda msg: None, "q")
        old = self.network.link
        old.shake_hands()
        old.receive(info(ldm=True))
        self.network.clock.advance(0)
        self.network.link.shake_hands()
        self.events.clear()
        old.receive(b"-ERR 'Something new'\r\n")
        self.network.link.receive(b"-ERR 'Something else'\r\n")
        self.assertEqual([server for _, server, _ in self.events], ["nats://a:4222", "nats://b:4222"])

    def test_a_subscription_that_is_refused(self) -> None:
        """It is an error with its server, and no nats:connected before it is accepted."""
        self.connection.subscribe("a", lambda msg: None)
        self.network.link.receive(info() + b"-ERR 'Permissions Violation for Subscription to \"a\"'\r\nPONG\r\n")
        [(name, server, error)] = self.events
        self.assertEqual((name, server, type(error)), ("nats:error", "nats://a:4222", PermissionsError))
        self.network.clock.pump([5.0, 5.0, 5.0])
        self.network.link.answer_pings()
        self.assertEqual(self.events[1:], [("nats:connected", "nats://a:4222", None)])

    def test_lost_before_it_was_subscribed(self) -> None:
        """It is no nats:disconnected, as there was no nats:connected."""
        self.connection.subscribe("a", lambda msg: None)
        self.network.link.receive(info() + b"-ERR 'Permissions Violation for Subscription to \"a\"'\r\nPONG\r\n")
        self.network.link.lose()
        self.assertEqual([name for name, _, _ in self.events], ["nats:error"])

    def test_slow_consumer(self) -> None:
        """The server cut us off because we did not read."""
        self.network.link.shake_hands()
        self.events.clear()
        self.network.link.receive(b"-ERR 'Slow Consumer'\r\n")
        self.network.link.lose()
        names = [name for name, _, error in self.events if isinstance(error, SlowConsumerError)]
        self.assertEqual(names, ["nats:error", "nats:slow_consumer"])
        self.assertEqual(self.events[-1], ("nats:disconnected", "nats://a:4222", None))

    def test_on_overflow(self) -> None:
        error = PendingLimitError("a", "q", 3, 30, "pause")
        self.connection_events.on_overflow(error)
        self.network.link.shake_hands()
        self.connection_events.on_overflow(error)
        self.assertEqual(self.events[0], ("nats:slow_consumer", "", error))
        self.assertEqual(self.events[2], ("nats:slow_consumer", "nats://a:4222", error))

    def test_stopped(self) -> None:
        """A stop that was asked for is no nats:disconnected."""
        self.network.link.shake_hands()
        self.events.clear()
        self.connection.stopService()
        self.network.link.lose()
        self.assertEqual(self.events, [])

    def test_route_counters(self) -> None:
        self.assertEqual(self.connection_events.route_counters, [])
        self.network.link.shake_hands()
        [counters] = self.connection_events.route_counters
        self.assertEqual((counters.route, counters.succeeded), ("nats:connected", 1))

    def test_hold(self) -> None:
        """Events wait while on_start hooks run, the last hundred of them. Then their routes run in order."""
        self.connection_events.hold()
        self.network.link.shake_hands()
        self.connection_events.hold()
        self.assertEqual(self.events, [])
        self.network.link.lose()
        self.connection_events.release()
        self.assertEqual([name for name, _, _ in self.events], ["nats:connected", "nats:disconnected"])
        self.connection_events.release()
        self.events.clear()
        self.connection_events.hold()
        errors = [PendingLimitError("a", "q", number, 1, "pause") for number in range(MAX_HELD + 1)]
        for error in errors:
            self.connection_events.on_overflow(error)
        self.connection_events.release()
        self.assertEqual([error for _, _, error in self.events], errors[1:])
        self.connection_events.on_overflow(errors[0])
        self.assertEqual(self.events[-1], ("nats:slow_consumer", "", errors[0]))
