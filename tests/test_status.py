"""natsroute.client.status, as a connection reports it"""

from __future__ import annotations

import attrs

from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change, Status
from natsroute.errors import AuthorizationError, ServerError
from tests.support.connection_case import A, ConnectionTestCase
from tests.support.memory_network import info


class StatusTests(ConnectionTestCase):
    """Connection.status()"""

    def test_before_the_start(self) -> None:
        self.assertEqual(self.connection().status(), Status(State.CLOSED, None, None, 0, 0, 0, 0, 0, 0, None))

    def test_connected(self) -> None:
        connection = self.connection()
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info())
        self.assertEqual((connection.status().state, connection.status().server), (State.CONNECTING, None))
        self.clock.advance(0.5)
        self.network.link.receive(b"PONG\r\n")
        status = connection.status()
        self.assertEqual((status.state, status.server, status.rtt, status.reconnects), (State.CONNECTED, A, 0.5, 0))
        self.assertEqual(status.bytes_in, len(info()) + len(b"PONG\r\n"))
        self.assertEqual(status.bytes_out, len(self.network.link.transport.sent()))

    def test_totals_survive_a_reconnect(self) -> None:
        connection = self.connection()
        first = connection.subscribe("a", self.messages.append)
        connection.subscribe("b", self.messages.append)
        self.connected(connection)
        self.network.link.receive(b"MSG a 1 0\r\n\r\nMSG b 2 0\r\n\r\n")
        connection.write_and_ping(b"PUB x 0\r\n\r\n" * 3, 3).addErrback(lambda lost: None)
        before = connection.status()
        self.assertEqual((before.messages_in, before.messages_out), (2, 3))
        self.clock.advance(60)
        self.network.link.lose()
        lost = connection.status()
        self.assertEqual((lost.state, lost.server, lost.rtt), (State.WAITING, None, None))
        self.assertEqual(
            (lost.messages_in, lost.bytes_in, lost.messages_out, lost.bytes_out),
            (before.messages_in, before.bytes_in, before.messages_out, before.bytes_out),
        )
        self.accept()
        first.unsubscribe()
        after = connection.status()
        self.assertEqual((after.messages_in, after.messages_out, after.reconnects), (2, 3, 1))
        self.assertGreater(after.bytes_in, before.bytes_in)
        self.assertGreater(after.bytes_out, before.bytes_out)

    def test_last_error(self) -> None:
        """Of a connected server, and of one that does not let us in."""
        connection = self.connection()
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(info() + b"-ERR 'Authorization Violation'\r\n")
        self.network.link.lose()
        self.assertIsInstance(connection.status().last_error, AuthorizationError)
        self.clock.advance(10)
        self.network.link.shake_hands()
        self.network.link.receive(b"-ERR 'Slow Consumer'\r\n")
        error = connection.status().last_error
        assert isinstance(error, ServerError)
        self.assertEqual(error.text, "Slow Consumer")

    def test_a_snapshot(self) -> None:
        """It does not change, and cannot be changed."""
        connection = self.connection()
        status = connection.status()
        self.connected(connection)
        self.assertIs(status.state, State.CLOSED)
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            status.reconnects = 1  # type: ignore[misc]


class ChangeTests(ConnectionTestCase):
    """Change"""

    def test_reasons(self) -> None:
        """DISCONNECTED and CONNECT_FAILED have one; CONNECTED and CLOSED have none."""
        connection = self.connection()
        self.connected(connection)
        self.clock.advance(60)
        self.network.refusing = {"nats://a:4222"}
        self.network.link.lose()
        self.clock.advance(0)
        connection.stopService()
        reasons = {change.event: change.reason is not None for change in self.changes}
        self.assertEqual(
            reasons,
            {
                ConnectionEvent.CONNECTED: False,
                ConnectionEvent.DISCONNECTED: True,
                ConnectionEvent.CONNECT_FAILED: True,
                ConnectionEvent.CLOSED: False,
            },
        )
        self.assertEqual(self.changes[-1], Change(ConnectionEvent.CLOSED))
