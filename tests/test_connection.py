"""natsroute.client.connection"""

from __future__ import annotations

import gc
import sys
from weakref import ref

from twisted.internet.defer import Deferred

from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change
from natsroute.errors import (
    AuthorizationError,
    ConnectionLostError,
    HandshakeError,
    MisuseError,
    PermissionsError,
    ServerError,
)
from tests.support.connection_case import A, B, ConnectionTestCase
from tests.support.memory_network import info


class LifeTests(ConnectionTestCase):
    """It connects, and connects again, until it is stopped."""

    def test_up_and_down(self) -> None:
        connection = self.connection()
        self.assertIs(connection.state, State.CLOSED)
        self.connected(connection)
        self.assertIs(connection.state, State.CONNECTED)
        self.assertTrue(connection.running)
        self.assertEqual(connection.max_payload, 1024)
        stopped = connection.stopService()
        self.assertFalse(connection.running)
        self.assertNoResult(stopped)
        self.network.link.lose()
        self.successResultOf(stopped)
        self.assertEqual(
            self.events(), [(ConnectionEvent.CONNECTED, "nats://a:4222"), (ConnectionEvent.CLOSED, "None")]
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connected_means_subscribed(self) -> None:
        """One PING follows CONNECT and the SUBs. Its PONG confirms all of them, and CONNECTED is reported then."""
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

    def test_the_first_reconnect_has_no_delay(self) -> None:
        connection = self.connection()
        self.connected(connection)
        self.clock.advance(60)
        self.network.link.lose()
        self.accept()
        self.assertEqual(
            [event for event, _ in self.events()],
            [ConnectionEvent.CONNECTED, ConnectionEvent.DISCONNECTED, ConnectionEvent.CONNECTED],
        )
        self.assertEqual(connection.reconnects, 1)

    def test_failover(self) -> None:
        """The other servers are tried without a delay, and then all of them again after the backoff."""
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
        self.accept()
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
        """The delays grow although TCP connects. They are longer than those of a server that cannot be reached."""
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

    def test_an_accepted_login_resets_the_delay(self) -> None:
        """After the next refusal it is the first one again."""
        connection = self.connection()
        connection.startService()
        for _ in range(2):
            self.clock.advance(0)
            self.network.link.receive(info() + b"-ERR 'Authorization Violation'\r\n")
            self.network.link.lose()
            refused = len(self.network.links)
            self.clock.advance(9.9)
            self.assertEqual(len(self.network.links), refused)
            self.clock.advance(0.1)
            self.assertEqual(len(self.network.links), refused + 1)
            self.accept()
            self.clock.advance(60)
            self.network.link.lose()

    def test_a_connection_that_did_not_last(self) -> None:
        """The next attempt has a delay, also long after the start of the clock."""
        self.clock.advance(1_000.0)
        self.connected(self.connection())
        self.clock.advance(1.9)
        self.network.link.lose()
        self.clock.advance(1.9)
        self.assertEqual(len(self.network.links), 1)
        self.clock.advance(0.1)
        self.assertEqual(len(self.network.links), 2)

    def test_nothing_is_kept_of_a_lost_server(self) -> None:
        """Its protocol is freed when there is another one."""
        connection = self.connection()
        self.connected(connection)
        protocol = ref(self.network.link.protocol)
        self.clock.advance(60)
        self.network.link.lose()
        self.accept()
        del self.network.links[0]
        gc.collect()
        self.assertIsNone(protocol())

    def test_never_gives_up(self) -> None:
        connection = self.connection()
        self.network.refusing = {"nats://a:4222"}
        connection.startService()
        self.clock.pump([10.0] * 10_000)
        self.network.refusing = set()
        self.clock.advance(10)
        self.accept()
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
        self.accept()
        self.assertEqual(self.changes[-1], Change(ConnectionEvent.CONNECTED, B))

    def test_a_name_that_is_looked_up_without_an_end(self) -> None:
        """The next server follows, and the cause is reported."""
        connection = self.connection(A, B)
        self.network.unresolved = {"nats://a:4222"}
        connection.startService()
        self.clock.advance(0)
        self.clock.advance(2.0)
        self.assertEqual(str(self.changes[0].reason), "no TCP connection within 2.0 s")
        self.accept()
        self.assertEqual(self.changes[-1], Change(ConnectionEvent.CONNECTED, B))

    def test_stopped_in_a_look_up_without_an_end(self) -> None:
        connection = self.connection()
        self.network.unresolved = {"nats://a:4222"}
        connection.startService()
        self.clock.advance(0)
        self.successResultOf(connection.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_credentials_function_that_exits(self) -> None:
        """It fails the attempt, and others follow."""
        connection = self.connection(credentials=sys.exit)
        connection.startService()
        self.clock.pump([0.0, 2.0])
        self.assertEqual([event for event, _ in self.events()], [ConnectionEvent.CONNECT_FAILED] * 2)

    def test_stopped_while_waiting(self) -> None:
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
        self.assertTrue(self.network.link.transport.aborted)
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
        """The exception is logged. The other observers and the connection do not notice."""
        connection = self.connection()
        connection.observe(lambda change: 1 // 0)  # type: ignore[arg-type, return-value]
        seen: list[Change] = []
        connection.observe(seen.append)
        self.connected(connection)
        self.assertEqual(len(seen), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_errors_of_the_server(self) -> None:
        connection = self.connection()
        errors: list[ServerError] = []
        connection.observe_errors(lambda error, server: errors.append(error))
        self.connected(connection)
        self.network.link.receive(b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n")
        self.assertIsInstance(errors[0], PermissionsError)
        self.assertIs(connection.state, State.CONNECTED)


class StateTests(ConnectionTestCase):
    """The state is the one of natsroute.client.state at each moment, and observers see the new one."""

    def test_states(self) -> None:
        connection = self.connection()
        seen: list[tuple[ConnectionEvent, State]] = []
        connection.observe(lambda change: seen.append((change.event, connection.state)))
        states = [connection.state]
        connection.startService()
        states.append(connection.state)
        self.clock.advance(0)
        states.append(connection.state)
        self.network.link.shake_hands()
        states.append(connection.state)
        drained = connection.drain()
        states.append(connection.state)
        self.network.link.answer_pings()
        self.successResultOf(drained)
        states.append(connection.state)
        connection.stopService()
        states.append(connection.state)
        self.network.link.lose()
        states.append(connection.state)
        self.assertEqual(
            states,
            [
                State.CLOSED,
                State.WAITING,
                State.CONNECTING,
                State.CONNECTED,
                State.DRAINING,
                State.CONNECTED,
                State.CLOSING,
                State.CLOSED,
            ],
        )
        self.assertEqual(seen, [(ConnectionEvent.CONNECTED, State.CONNECTED), (ConnectionEvent.CLOSED, State.CLOSED)])

    def test_observe_info(self) -> None:
        """The first INFO after CONNECTED, and each later one, while it is in use."""
        connection = self.connection()
        seen: list[tuple[int, int | None]] = []
        connection.observe_info(lambda info: seen.append((info.max_payload, connection.max_payload)))
        self.connected(connection)
        self.network.link.receive(info(max_payload=512))
        connection.stopService()
        self.network.link.receive(info(max_payload=256))
        self.assertEqual(seen, [(1024, 1024), (512, 512)])

    def test_waiting_after_a_loss(self) -> None:
        connection = self.connection()
        self.connected(connection)
        self.network.link.lose()
        self.assertIs(connection.state, State.WAITING)
        self.assertIsNone(connection.status().server)

    def test_waiting_after_a_failure(self) -> None:
        """Of a server that cannot be reached, or that fails in the handshake."""
        connection = self.connection()
        self.network.refusing = {"nats://a:4222"}
        connection.startService()
        self.clock.advance(0)
        self.assertIs(connection.state, State.WAITING)
        self.network.refusing = set()
        self.clock.advance(2.0)
        self.assertIs(connection.state, State.CONNECTING)
        self.network.link.receive(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertIs(connection.state, State.CONNECTING, "TCP has not ended yet")
        self.network.link.lose()
        self.assertIs(connection.state, State.WAITING)


class WriteTests(ConnectionTestCase):
    """write_and_ping"""

    def test_confirmed(self) -> None:
        connection = self.connection()
        self.connected(connection)
        written = connection.write_and_ping(b"PUB a 0\r\n\r\n")
        self.assertEqual(self.network.link.answer_pings(), b"PUB a 0\r\n\r\nPING\r\n")
        self.successResultOf(written)

    def test_unconfirmed(self) -> None:
        """write() sends no PING, and counts the messages."""
        connection = self.connection()
        self.assertFalse(connection.write(b"PUB a 0\r\n\r\n", 1))
        self.connected(connection)
        self.assertTrue(connection.write(b"PUB a 0\r\n\r\n", 1))
        self.assertEqual(self.network.link.transport.sent(), b"PUB a 0\r\n\r\n")
        self.assertEqual(connection.status().messages_out, 1)

    def test_now(self) -> None:
        """Also at once."""
        connection = self.connection()
        self.assertFalse(connection.write(b"PUB a 0\r\n\r\n", 1, now=True))
        self.connected(connection)
        self.assertEqual(connection.status().messages_out, 0)
        self.assertTrue(connection.write(b"PUB a 0\r\n\r\n" * 2, 2, now=True))
        self.assertEqual(self.network.link.transport.sent(), b"PUB a 0\r\n\r\n" * 2)
        self.assertEqual(connection.status().messages_out, 2)

    def test_without_a_connection(self) -> None:
        connection = self.connection()
        self.assertIs(connection.max_payload, None)
        self.failureResultOf(connection.write_and_ping(b""), ConnectionLostError)

    def test_only_while_connected(self) -> None:
        """Not in the handshake, and not when it closes; while it drains it is connected."""
        connection = self.connection()
        connection.startService()
        self.clock.advance(0)
        self.failureResultOf(connection.write_and_ping(b""), ConnectionLostError)
        self.network.link.shake_hands()
        connection.drain()
        self.assertEqual((connection.max_payload, connection.info is None), (1024, False))
        self.assertNoResult(connection.write_and_ping(b"PUB a 0\r\n\r\n", 1).addErrback(lambda _: None))
        connection.stopService()
        self.failureResultOf(connection.write_and_ping(b""), ConnectionLostError)
        self.assertEqual((connection.max_payload, connection.info), (None, None))

    def test_lost_before_the_pong(self) -> None:
        connection = self.connection()
        self.connected(connection)
        written: Deferred[None] = connection.write_and_ping(b"PUB a 0\r\n\r\n")
        self.network.link.lose()
        self.failureResultOf(written, ConnectionLostError)
