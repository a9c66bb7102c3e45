"""natsroute.client.connection: what a server says of its cluster and of its own end"""

from __future__ import annotations

from natsroute.client.connection import Connection
from natsroute.client.server_pool import ServerPool
from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent, State
from natsroute.errors import ServerLeftError
from tests.support.connection_case import A, B, ConnectionTestCase
from tests.support.memory_network import info


class ClusterTests(ConnectionTestCase):
    """Lame duck mode, and announced servers."""

    def in_lame_duck_mode(self) -> Connection:
        """A connection whose server has just entered lame duck mode."""
        connection = self.connection(A, B)
        connection.subscribe("a", self.messages.append)
        self.connected(connection)
        self.clock.advance(60.0)
        self.network.link.transport.sent()
        self.changes.clear()
        self.network.link.receive(info(ldm=True))
        return connection

    def test_moved_to_the_next_server(self) -> None:
        """It takes the messages that are on their way, closes, and connects to the next server."""
        connection = self.in_lame_duck_mode()
        self.assertEqual(self.events(), [(ConnectionEvent.LAME_DUCK, "nats://a:4222")])
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\nPING\r\n")
        self.assertIsNone(connection.max_payload)
        self.network.link.receive(b"MSG a 1 2\r\nhi\r\nPONG\r\n")
        self.assertEqual(len(self.messages), 1)
        self.assertTrue(self.network.link.transport.disconnecting)
        self.network.link.lose()
        self.assertIsInstance(self.changes[0].reason, ServerLeftError)
        self.assertIn(b"SUB a 1", self.accept())
        self.assertEqual(
            self.events(),
            [(ConnectionEvent.DISCONNECTED, "nats://a:4222"), (ConnectionEvent.CONNECTED, "nats://b:4222")],
        )

    def test_announced_twice(self) -> None:
        """The server is left once."""
        self.in_lame_duck_mode()
        self.network.link.receive(info(ldm=True))
        self.assertEqual(self.events(), [(ConnectionEvent.LAME_DUCK, "nats://a:4222")])
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\nPING\r\n")

    def test_stopped_while_leaving(self) -> None:
        connection = self.in_lame_duck_mode()
        stopped = connection.stopService()
        self.assertTrue(self.network.link.transport.disconnecting)
        self.assertNoResult(stopped)
        self.network.link.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_old_error_is_not_the_reason(self) -> None:
        connection = self.connection(A, B)
        self.connected(connection)
        self.network.link.receive(b"-ERR 'maximum subscriptions exceeded'\r\n")
        self.network.link.receive(info(ldm=True) + b"PONG\r\n")
        self.network.link.lose()
        self.assertIsInstance(self.changes[-1].reason, ServerLeftError)

    def test_the_only_server_is_not_left(self) -> None:
        self.connected(self.connection())
        self.network.link.transport.sent()
        self.network.link.receive(info(ldm=True))
        self.assertEqual(self.network.link.transport.sent(), b"")

    def test_all_servers_in_lame_duck_mode(self) -> None:
        """They accept the login and send us away again. The backoff keeps us from trying them without a delay."""
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

    def test_endless_announcements(self) -> None:
        """The backoff comes even if each server announces another one."""
        self.connection().startService()
        for number in range(20):
            self.clock.advance(0)
            if len(self.network.links) == number:
                break
            self.network.link.shake_hands(connect_urls=[f"b{number}:1"])
            self.network.link.lose()
        self.assertLess(len(self.network.links), 4)

    def test_a_malformed_address(self) -> None:
        """A port of thousands of digits is more than int() takes. The connection stays."""
        connection = self.connection()
        connection.startService()
        self.clock.advance(0)
        self.network.link.shake_hands(connect_urls=["h:" + "1" * 5000])
        self.assertIs(connection.state, State.CONNECTED)

    def test_a_fault_in_natsroute(self) -> None:
        """It is logged, the connection is closed, and another attempt follows."""
        connection = self.connection()
        self.patch(ServerPool, "announced", lambda pool, addresses, by: 1 // 0)
        failed: list[Server] = []
        self.patch(ServerPool, "failed", lambda pool, server, now: failed.append(server))
        connection.startService()
        self.clock.advance(0)
        self.network.link.shake_hands()
        self.assertTrue(self.network.link.transport.disconnecting)
        self.network.link.lose()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIs(connection.state, State.WAITING)
        self.assertIs(self.changes[-1].event, ConnectionEvent.DISCONNECTED)
        self.assertIsInstance(self.changes[-1].reason, ZeroDivisionError)
        self.assertEqual(failed, [A])
        self.patch(ServerPool, "announced", lambda pool, addresses, by: None)
        self.clock.advance(2.0)
        self.network.link.shake_hands()
        self.assertIs(connection.state, State.CONNECTED)

    def test_a_fault_before_it_is_connected(self) -> None:
        """It counts as a failed attempt."""
        connection = self.connection()
        self.patch(ServerPool, "succeeded", lambda pool, server: 1 // 0)
        connection.startService()
        self.clock.advance(0)
        self.network.link.shake_hands()
        self.network.link.lose()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECT_FAILED, "nats://a:4222")])
        self.assertIs(connection.state, State.WAITING)
