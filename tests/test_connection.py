"""natsroute.client.connection"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.connection import Connection
from natsroute.client.options import Timing
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server, parse_url
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change
from natsroute.client.subscription import PendingLimits
from natsroute.errors import (
    AuthorizationError,
    ConnectionLostError,
    HandshakeError,
    MisuseError,
    PermissionsError,
    ServerError,
    ServerLeftError,
    SubjectError,
    TlsError,
)
from natsroute.wire.frames import Msg
from tests.support.memory_network import MemoryNetwork, info

A, B = Server("a"), Server("b")


class ConnectionTestCase(SynchronousTestCase):
    """A Connection to servers in memory."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.clock = self.network.clock
        self.changes: list[Change] = []
        self.messages: list[Msg] = []

    def connection(self, *servers: Server, backoff: Backoff = Backoff(2.0, 10.0, 0.0), **options: Any) -> Connection:
        connection = Connection(
            self.clock,
            ServerPool(servers or (A,), backoff, keep_order=True),
            timing=Timing(connect_timeout=2.0),
            endpoint_for=self.network.endpoint_for,
            **options,
        )
        connection.observe(self.changes.append)
        return connection

    def events(self) -> list[tuple[ConnectionEvent, str]]:
        """What the observer was told since the last call."""
        told = [(change.event, str(change.server)) for change in self.changes]
        self.changes.clear()
        return told

    def connected(self, connection: Connection) -> None:
        """Start and let the handshake succeed."""
        connection.startService()
        self.come_up()

    def come_up(self) -> bytes:
        """The newest link's server behaves well; gives what was written behind the handshake."""
        self.clock.advance(0)
        return self.network.link.shake_hands().partition(b"\r\n")[2]


class LifeTests(ConnectionTestCase):
    """It finds a server, and another when it is cut, until it is stopped."""

    def test_up_and_down(self) -> None:
        connection = self.connection()
        self.assertIs(connection.state, State.CLOSED)
        self.connected(connection)
        self.assertIs(connection.state, State.CONNECTED)
        self.assertEqual(connection.max_payload, 1024)
        stopped = connection.stopService()
        self.assertNoResult(stopped)
        self.network.link.lose()
        self.successResultOf(stopped)
        self.assertEqual(
            self.events(), [(ConnectionEvent.CONNECTED, "nats://a:4222"), (ConnectionEvent.CLOSED, "None")]
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connected_means_the_subscriptions_are_there(self) -> None:
        """One PING behind CONNECT and the SUBs confirms them all, and nobody is told before its answer."""
        connection = self.connection()
        connection.subscribe("a", lambda msg: None)
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info())
        said = self.network.link.transport.sent()
        self.assertTrue(said.startswith(b"CONNECT "))
        self.assertTrue(said.endswith(b"\r\nSUB a 1\r\nPING\r\n"))
        self.assertEqual((self.events(), connection.max_payload), ([], None))
        self.network.link.receive(b"PONG\r\n")
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://a:4222")])

    def test_the_first_reconnect_is_at_once(self) -> None:
        connection = self.connection()
        self.connected(connection)
        self.clock.advance(60)
        self.network.link.lose()
        self.come_up()
        self.assertEqual(
            [event for event, _ in self.events()],
            [ConnectionEvent.CONNECTED, ConnectionEvent.DISCONNECTED, ConnectionEvent.CONNECTED],
        )
        self.assertEqual(connection.reconnects, 1)

    def test_failover(self) -> None:
        """The other servers are tried without delay, then all again after the backoff."""
        connection = self.connection(A, B)
        self.network.refusing = {"nats://a:4222", "nats://b:4222"}
        connection.startService()
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual(self.network.asked, ["nats://a:4222", "nats://b:4222"])
        self.network.refusing = {"nats://a:4222"}
        self.clock.advance(1.9)
        self.assertEqual(len(self.network.asked), 2)
        self.clock.advance(0.1)
        self.come_up()
        self.assertEqual(
            self.events(),
            [
                (ConnectionEvent.CONNECT_FAILED, "nats://a:4222"),
                (ConnectionEvent.CONNECT_FAILED, "nats://b:4222"),
                (ConnectionEvent.CONNECT_FAILED, "nats://a:4222"),
                (ConnectionEvent.CONNECTED, "nats://b:4222"),
            ],
        )

    def test_a_refused_login_is_not_retried_at_once(self) -> None:
        """TCP alone resets nothing: the waits grow, and they are longer than those for a server that is not there."""
        connection = self.connection()
        connection.startService()
        waits = []
        for _ in range(4):
            before = self.clock.seconds()
            count = len(self.network.links)
            self.clock.advance(0)
            while len(self.network.links) == count:
                self.clock.advance(0.5)
            waits.append(self.clock.seconds() - before)
            self.network.link.receive(info() + b"-ERR 'Authorization Violation'\r\n")
            self.network.link.lose()
        self.assertEqual(waits, [0.0, 10.0, 20.0, 40.0])
        self.assertIsInstance(self.changes[-1].reason, AuthorizationError)
        self.assertEqual({change.event for change in self.changes}, {ConnectionEvent.CONNECT_FAILED})

    def test_never_gives_up(self) -> None:
        connection = self.connection()
        self.network.refusing = {"nats://a:4222"}
        connection.startService()
        self.clock.pump([10.0] * 10_000)
        self.network.refusing = set()
        self.clock.advance(10)
        self.come_up()
        self.assertIs(connection.state, State.CONNECTED)

    def test_a_silent_server(self) -> None:
        connection = self.connection(A, B)
        connection.startService()
        self.clock.advance(0)
        silent = self.network.link
        self.clock.advance(2.0)
        self.assertTrue(silent.transport.aborted)
        silent.lose()
        self.assertIsInstance(self.changes[0].reason, HandshakeError)
        self.come_up()
        self.assertEqual(self.changes[-1], Change(ConnectionEvent.CONNECTED, B))

    def test_stopped_while_it_waits(self) -> None:
        connection = self.connection()
        self.network.refusing = {"nats://a:4222"}
        connection.startService()
        self.clock.advance(0)
        self.successResultOf(connection.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(connection.state, State.CLOSED)

    def test_stopped_in_the_handshake(self) -> None:
        connection = self.connection()
        connection.startService()
        self.clock.advance(0)
        stopped = connection.stopService()
        self.assertTrue(self.network.link.transport.disconnecting)
        self.assertNoResult(stopped)
        self.network.link.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_before_it_was_started(self) -> None:
        self.successResultOf(self.connection().stopService())

    def test_started_twice(self) -> None:
        connection = self.connection()
        connection.startService()
        self.assertRaises(MisuseError, connection.startService)

    def test_started_again(self) -> None:
        connection = self.connection()
        self.connected(connection)
        stopped = connection.stopService()
        self.network.link.lose()
        self.successResultOf(stopped)
        self.connected(connection)
        self.assertIs(connection.state, State.CONNECTED)

    def test_an_observer_that_raises(self) -> None:
        """It is logged, and neither the other observers nor the connection suffer."""
        connection = self.connection()
        connection.observe(lambda change: 1 // 0)  # type: ignore[arg-type, return-value]
        told: list[Change] = []
        connection.observe(told.append)
        self.connected(connection)
        self.assertEqual(len(told), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_errors_of_the_server_are_told(self) -> None:
        connection = self.connection()
        errors: list[ServerError] = []
        connection.observe_errors(errors.append)
        self.connected(connection)
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n")
        self.assertIsInstance(errors[0], PermissionsError)
        self.assertIs(connection.state, State.CONNECTED)


class SubscribeTests(ConnectionTestCase):
    """Subscriptions live longer than the TCP connection."""

    def test_subscribed_again_with_the_queue_group(self) -> None:
        connection = self.connection()
        connection.subscribe("a.>", lambda msg: None, "q")
        connection.subscribe("b", lambda msg: None)
        connection.startService()
        self.assertEqual(self.come_up(), b"SUB a.> q 1\r\nSUB b 2\r\nPING\r\n")
        self.clock.advance(60)
        self.network.link.lose()
        self.assertEqual(self.come_up(), b"SUB a.> q 1\r\nSUB b 2\r\nPING\r\n")

    def test_subscribed_while_connected(self) -> None:
        connection = self.connection()
        self.connected(connection)
        connection.subscribe("a", lambda msg: self.messages.append(msg), "q")
        self.assertEqual(self.network.link.transport.sent(), b"SUB a q 1\r\n")
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\n")
        self.assertEqual([msg.data for msg in self.messages], [b"hi"])

    def test_subscribed_and_unsubscribed_in_the_handshake(self) -> None:
        """Neither is forgotten, nor made twice."""
        connection = self.connection()
        first = connection.subscribe("a", lambda msg: None)
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info())
        self.assertIn(b"SUB a 1\r\n", self.network.link.transport.sent())
        first.unsubscribe()
        connection.subscribe("b", lambda msg: None)
        self.network.link.receive(b"PONG\r\n")
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\nSUB b 2\r\n")

    def test_what_cannot_be_subscribed_to(self) -> None:
        connection = self.connection()
        self.assertRaises(SubjectError, connection.subscribe, "a b", lambda msg: None)
        self.assertRaises(SubjectError, connection.subscribe, "a", lambda msg: None, "q\r\nPUB")

    def test_unsubscribed(self) -> None:
        connection = self.connection()
        subscription = connection.subscribe("a", lambda msg: self.messages.append(msg))
        self.connected(connection)
        subscription.unsubscribe()
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\n")
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\n")
        self.assertEqual(self.messages, [])
        self.clock.advance(60)
        self.network.link.lose()
        self.assertEqual(self.come_up(), b"PING\r\n")

    def test_what_is_left_of_an_auto_unsubscribe(self) -> None:
        connection = self.connection()
        subscription = connection.subscribe("a", lambda msg: self.messages.append(msg))
        self.connected(connection)
        subscription.unsubscribe(5)
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1 5\r\n")
        self.network.link.receive(b"MSG a 1 0\r\n\r\n" * 3)
        self.clock.advance(60)
        self.network.link.lose()
        self.assertEqual(self.come_up(), b"SUB a 1\r\nUNSUB 1 2\r\nPING\r\n")
        self.network.link.receive(b"MSG a 1 0\r\n\r\n" * 3)
        self.assertEqual(len(self.messages), 5)

    def test_paused_again_after_a_reconnect(self) -> None:
        """A receiver that is busy does not become free because its connection was cut."""
        connection, busy = self.connection(), Deferred()
        connection.subscribe("a", lambda msg: busy, limits=PendingLimits(messages=0))
        self.connected(connection)
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\n" * 2)
        self.assertEqual(self.network.link.transport.producerState, "paused")
        self.clock.advance(60)
        self.network.link.lose()
        self.come_up()
        self.assertEqual(self.network.link.transport.producerState, "paused")
        busy.callback(None)
        self.assertEqual(self.network.link.transport.producerState, "producing")


class WriteTests(ConnectionTestCase):
    """write_and_ping"""

    def test_confirmed(self) -> None:
        connection = self.connection()
        self.connected(connection)
        written = connection.write_and_ping(b"PUB a 0\r\n\r\n")
        self.assertEqual(self.network.link.answer_pings(), b"PUB a 0\r\n\r\nPING\r\n")
        self.successResultOf(written)

    def test_without_a_connection(self) -> None:
        connection = self.connection()
        self.assertIs(connection.max_payload, None)
        self.failureResultOf(connection.write_and_ping(b""), ConnectionLostError)

    def test_cut_before_the_answer(self) -> None:
        connection = self.connection()
        self.connected(connection)
        written: Deferred[None] = connection.write_and_ping(b"PUB a 0\r\n\r\n")
        self.network.link.lose()
        self.failureResultOf(written, ConnectionLostError)


class ClusterTests(ConnectionTestCase):
    """What a server says of its cluster and of its own end."""

    def to_leave(self) -> Connection:
        """A connection whose server has said that it goes away."""
        connection = self.connection(A, B)
        connection.subscribe("a", self.messages.append)
        self.connected(connection)
        self.clock.advance(60.0)
        self.network.link.transport.sent()
        self.changes.clear()
        self.network.link.receive(info(ldm=True))
        return connection

    def test_left_before_it_goes(self) -> None:
        """What is on its way is taken, and then the next server."""
        connection = self.to_leave()
        self.assertEqual(self.events(), [(ConnectionEvent.LAME_DUCK, "nats://a:4222")])
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\nPING\r\n")
        self.assertIsNone(connection.max_payload)
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\nPONG\r\n")
        self.assertEqual(len(self.messages), 1)
        self.assertTrue(self.network.link.transport.disconnecting)
        self.network.link.lose()
        self.assertIsInstance(self.changes[0].reason, ServerLeftError)
        self.assertIn(b"SUB a 1", self.come_up())
        self.assertEqual(
            self.events(),
            [(ConnectionEvent.DISCONNECTED, "nats://a:4222"), (ConnectionEvent.CONNECTED, "nats://b:4222")],
        )

    def test_stopped_while_leaving(self) -> None:
        connection = self.to_leave()
        stopped = connection.stopService()
        self.assertTrue(self.network.link.transport.disconnecting)
        self.assertNoResult(stopped)
        self.network.link.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_old_complaint_is_not_the_reason(self) -> None:
        connection = self.connection(A, B)
        self.connected(connection)
        self.network.link.receive(b"-ERR 'maximum subscriptions exceeded'\r\n")
        self.network.link.receive(info(ldm=True) + b"PONG\r\n")
        self.network.link.lose()
        self.assertIsInstance(self.changes[-1].reason, ServerLeftError)

    def test_the_only_server_is_kept_to_the_end(self) -> None:
        self.connected(self.connection())
        self.network.link.transport.sent()
        self.network.link.receive(info(ldm=True))
        self.assertEqual(self.network.link.transport.sent(), b"")

    def test_each_connection_in_lame_duck_mode(self) -> None:
        """Of servers that let us in only to send us away again not one after the other is asked without a wait."""
        self.connection(A, B).startService()
        for _ in range(20):
            self.clock.advance(0)
            link = self.network.link
            if link.transport.disconnecting or not link.protocol.state.is_open:
                break
            link.shake_hands(ldm=True)
            link.answer_pings()
            link.lose()
        self.assertLess(len(self.network.links), 4)

    def test_a_new_name_each_time(self) -> None:
        """Nor of servers that each tell of another."""
        self.connection().startService()
        for number in range(20):
            self.clock.advance(0)
            if len(self.network.links) == number:
                break
            self.network.link.shake_hands(connect_urls=[f"b{number}:1"])
            self.network.link.lose()
        self.assertLess(len(self.network.links), 4)

    def test_no_end_comes_of_what_a_server_says(self) -> None:
        """A port of thousands of digits, which Python refuses to read."""
        connection = self.connection()
        connection.startService()
        self.clock.advance(0)
        self.network.link.shake_hands(connect_urls=["h:" + "1" * 5000])
        self.assertIs(connection.state, State.CONNECTED)

    def test_a_fault_of_our_own(self) -> None:
        """Whatever it is, the connection is closed and made anew."""
        connection = self.connection()
        self.patch(ServerPool, "announced", lambda pool, addresses, by: 1 // 0)
        connection.startService()
        self.clock.advance(0)
        self.network.link.shake_hands()
        self.assertTrue(self.network.link.transport.disconnecting)
        self.network.link.lose()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIs(connection.state, State.WAITING)
        self.patch(ServerPool, "announced", lambda pool, addresses, by: None)
        self.clock.advance(2.0)
        self.network.link.shake_hands()
        self.assertIs(connection.state, State.CONNECTED)


class DrainTests(ConnectionTestCase):
    """No new messages, and the connection stays."""

    def test_what_is_on_its_way(self) -> None:
        connection = self.connection()
        connection.subscribe("a", self.messages.append, "q")
        self.connected(connection)
        self.network.link.transport.sent()
        drained = connection.drain()
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\nPING\r\n")
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\n")
        self.assertNoResult(drained)
        self.network.link.receive(b"PONG\r\n")
        self.successResultOf(drained)
        self.assertEqual(len(self.messages), 1)
        self.assertIs(connection.state, State.CONNECTED)

    def test_not_subscribed_again(self) -> None:
        """Not before it is started anew."""
        connection = self.connection()
        connection.subscribe("a", self.messages.append)
        self.connected(connection)
        drained = connection.drain()
        self.clock.advance(60)
        self.network.link.lose()
        self.successResultOf(drained)
        self.assertNotIn(b"SUB", self.come_up())
        stopped = connection.stopService()
        self.network.link.lose()
        self.successResultOf(stopped)
        connection.startService()
        self.assertIn(b"SUB a", self.come_up())

    def test_without_a_connection(self) -> None:
        self.successResultOf(self.connection().drain())


class SecurityTests(ConnectionTestCase):
    """What does not go out, and who is not trusted."""

    def test_no_plain_websocket_where_tls_is_a_must(self) -> None:
        connection = self.connection(
            parse_url("ws://a"), require_tls=True, credentials=lambda: Credentials(user="u", password="p")
        )
        connection.startService()
        self.clock.advance(0)
        self.assertEqual(self.network.asked, [])
        self.assertIsInstance(self.changes[0].reason, TlsError)

    def test_what_are_no_credentials(self) -> None:
        """They may hold a secret all the same."""

        async def later() -> Any:
            return {"password": "hunter2"}

        for source in (lambda: {"password": "hunter2"}, lambda: "hunter2", later, lambda: succeed("hunter2")):
            self.changes.clear()
            connection = self.connection(credentials=source)
            connection.startService()
            self.clock.advance(0)
            self.assertIsInstance(self.changes[0].reason, MisuseError)
            self.assertNotIn("hunter2", str(self.changes[0].reason))
            connection.stopService()

    def test_credentials_that_do_not_come(self) -> None:
        connection = self.connection(credentials=Deferred)
        connection.startService()
        self.clock.pump([0.0, 2.0])
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECT_FAILED, "nats://a:4222")])
        self.successResultOf(connection.stopService())


class StopTests(ConnectionTestCase):
    """The end."""

    def test_not_started_again_before_it_has_ended(self) -> None:
        connection = self.connection()
        self.connected(connection)
        stopped = connection.stopService()
        self.assertRaises(MisuseError, connection.startService)
        self.network.link.lose()
        self.successResultOf(stopped)
        self.connected(connection)
        self.assertIs(connection.state, State.CONNECTED)

    def test_what_comes_after_the_end(self) -> None:
        """Over TLS a transport reads on until the other side has closed: nothing of it counts."""
        connection = self.connection()
        connection.subscribe("a", self.messages.append)
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info())
        connection.stopService()
        self.network.link.receive(b"PONG\r\nMSG a 1 2\r\nhi\r\n")
        self.assertEqual(self.messages, [])
        self.clock.advance(10.0)
        self.assertTrue(self.network.link.transport.aborted)
        self.network.link.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])
