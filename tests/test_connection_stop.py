"""natsroute.client.connection: drain() and stopService()"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from natsroute.client.auth import Credentials
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change
from natsroute.errors import (
    MisuseError,
)
from tests.support.connection_case import A, B, ConnectionTestCase
from tests.support.memory_network import info


class DrainTests(ConnectionTestCase):
    """drain() ends the subscriptions, and the connection stays."""

    def test_messages_on_their_way(self) -> None:
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

    def test_twice(self) -> None:
        """The second one does not end the subscriptions again, and fires behind the first one."""
        connection = self.connection()
        connection.subscribe("a", self.messages.append)
        self.connected(connection)
        self.network.link.transport.sent()
        first, second = connection.drain(), connection.drain()
        self.assertEqual(self.network.link.transport.sent(), b"UNSUB 1\r\nPING\r\nPING\r\n")
        self.network.link.receive(b"PONG\r\n")
        self.successResultOf(first)
        self.assertNoResult(second)
        self.assertIs(connection.state, State.CONNECTED)
        self.network.link.receive(b"PONG\r\n")
        self.successResultOf(second)

    def test_cancelled(self) -> None:
        """The drain goes on."""
        connection = self.connection()
        connection.subscribe("a", self.messages.append)
        self.connected(connection)
        drained = connection.drain()
        drained.cancel()
        self.failureResultOf(drained, CancelledError)
        self.assertIs(connection.state, State.DRAINING)
        self.network.link.answer_pings()
        self.assertIs(connection.state, State.CONNECTED)

    def test_lost_while_draining(self) -> None:
        connection = self.connection()
        self.connected(connection)
        drained = connection.drain()
        self.network.link.lose()
        self.successResultOf(drained)
        self.assertEqual([event for event, _ in self.events()][1:], [ConnectionEvent.DISCONNECTED])
        self.assertIs(connection.state, State.WAITING)

    def test_lame_duck_while_draining(self) -> None:
        """The server is left as always, and the drain ends."""
        connection = self.connection(A, B)
        connection.subscribe("a", self.messages.append)
        self.connected(connection)
        drained = connection.drain()
        self.network.link.receive(info(ldm=True))
        self.assertIs(connection.state, State.LAME_DUCK)
        self.network.link.receive(b"PONG\r\n")
        self.successResultOf(drained)
        self.assertIs(connection.state, State.LAME_DUCK)
        self.network.link.receive(b"PONG\r\n")
        self.assertTrue(self.network.link.transport.disconnecting)

    def test_in_the_handshake(self) -> None:
        """The server has the subscriptions already: they are ended, and what it has sent is handled."""
        connection = self.connection()
        connection.subscribe("a", self.messages.append)
        connection.startService()
        self.clock.advance(0)
        link = self.network.link
        link.receive(info())
        link.transport.sent()
        drained = connection.drain()
        self.assertEqual(link.transport.sent(), b"UNSUB 1\r\nPING\r\n")
        link.receive(b"PONG\r\nMSG a 1 2\r\nhi\r\n")
        self.assertIs(connection.state, State.CONNECTED)
        self.assertNoResult(drained)
        self.assertEqual(len(self.messages), 1)
        link.receive(b"PONG\r\n")
        self.successResultOf(drained)

    def test_before_the_handshake(self) -> None:
        """Nothing was subscribed, and nothing will be."""
        connection = self.connection()
        connection.subscribe("a", self.messages.append)
        connection.startService()
        self.clock.advance(0)
        self.successResultOf(connection.drain())
        self.assertNotIn(b"SUB", self.network.link.shake_hands())
        connection.subscribe("b", self.messages.append)
        self.assertEqual(self.network.link.transport.sent(), b"")

    def test_in_lame_duck_mode(self) -> None:
        """It waits for the messages of the server that is left."""
        connection = self.connection(A, B)
        connection.subscribe("a", self.messages.append)
        self.connected(connection)
        link = self.network.link
        link.receive(info(ldm=True))
        drained = connection.drain()
        self.assertNoResult(drained)
        link.receive(b"MSG a 1 2\r\nhi\r\n")
        self.assertEqual(len(self.messages), 1)
        self.assertNoResult(drained)
        link.receive(b"PONG\r\n")
        self.assertTrue(link.transport.disconnecting)
        link.lose()
        self.successResultOf(drained)
        self.assertNotIn(b"SUB", self.accept())

    def test_stopped_while_draining(self) -> None:
        connection = self.connection()
        self.connected(connection)
        drained = connection.drain()
        stopped = connection.stopService()
        self.network.link.lose()
        self.successResultOf(drained)
        self.successResultOf(stopped)

    def test_not_subscribed_again(self) -> None:
        """Not until the connection is started again."""
        connection = self.connection()
        connection.subscribe("a", self.messages.append)
        self.connected(connection)
        drained = connection.drain()
        self.clock.advance(60)
        self.network.link.lose()
        self.successResultOf(drained)
        self.assertNotIn(b"SUB", self.accept())
        stopped = connection.stopService()
        self.network.link.lose()
        self.successResultOf(stopped)
        connection.startService()
        self.assertIn(b"SUB a", self.accept())

    def test_without_a_connection(self) -> None:
        self.successResultOf(self.connection().drain())


class StopTests(ConnectionTestCase):
    """stopService()"""

    def test_started_while_closing(self) -> None:
        """It starts when it is closed. Another start is a mistake; a stop takes the start back."""
        for stopped_again in (False, True):
            connection = self.connection()
            self.connected(connection)
            stopped = connection.stopService()
            connection.startService()
            self.assertIs(connection.state, State.RESTARTING)
            self.assertRaises(MisuseError, connection.startService)
            if stopped_again:
                second = connection.stopService()
                self.assertNoResult(second)
            self.network.link.lose()
            self.successResultOf(stopped)
            if stopped_again:
                self.successResultOf(second)
                self.assertIs(connection.state, State.CLOSED)
                connection.startService()
            self.accept()
            self.assertIs(connection.state, State.CONNECTED)
            self.assertTrue(connection.running)

    def test_started_while_closing_and_by_an_observer(self) -> None:
        """It starts once."""
        connection = self.connection()
        connection.observe(lambda change: connection.startService() if change.event is ConnectionEvent.CLOSED else None)
        self.connected(connection)
        connection.stopService()
        connection.startService()
        self.network.link.lose()
        self.accept()
        self.assertIs(connection.state, State.CONNECTED)

    def test_stopped_twice(self) -> None:
        """Both Deferreds fire when TCP has ended, in the handshake too."""
        for connected in (True, False):
            connection = self.connection()
            connection.startService()
            self.clock.advance(0)
            if connected:
                self.network.link.shake_hands()
            first, second = connection.stopService(), connection.stopService()
            self.assertNoResult(first)
            self.assertNoResult(second)
            self.network.link.lose()
            self.successResultOf(first)
            self.successResultOf(second)
            self.assertIs(connection.state, State.CLOSED)

    def test_stopped_while_a_failed_attempt_closes(self) -> None:
        """Its TCP connection must end first."""
        connection = self.connection()
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(b"-ERR 'Authorization Violation'\r\n")
        stopped = connection.stopService()
        self.assertNoResult(stopped)
        self.network.link.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.events(), [(ConnectionEvent.CLOSED, "None")])

    def test_stopped_after_a_failed_attempt(self) -> None:
        """It waits for the next attempt, and nothing keeps it."""
        connection = self.connection()
        connection.startService()
        self.clock.advance(0)
        self.network.link.receive(b"HTTP/1.1 400 Bad Request\r\n")
        self.network.link.lose()
        self.assertIs(connection.state, State.WAITING)
        self.successResultOf(connection.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_by_an_observer(self) -> None:
        """At each change with a server."""
        for event in (ConnectionEvent.CONNECTED, ConnectionEvent.CONNECT_FAILED, ConnectionEvent.DISCONNECTED):
            connection = self.connection()
            stopped: list[Deferred[None]] = []

            def stop(change: Change, connection: Any = connection, event: Any = event, stopped: Any = stopped) -> None:
                if change.event is event:
                    stopped.append(connection.stopService())

            connection.observe(stop)
            self.network.refusing = {"nats://a:4222"} if event is ConnectionEvent.CONNECT_FAILED else set()
            connection.startService()
            self.clock.advance(0)
            if event is not ConnectionEvent.CONNECT_FAILED:
                self.network.link.shake_hands()
                self.network.link.lose()
            self.successResultOf(stopped[0])
            self.assertIs(connection.state, State.CLOSED)
            self.assertEqual(self.changes[-1], Change(ConnectionEvent.CLOSED))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_by_an_observer_of_lame_duck(self) -> None:
        connection = self.connection(A, B)
        connection.observe(
            lambda change: connection.stopService() if change.event is ConnectionEvent.LAME_DUCK else None
        )
        self.connected(connection)
        self.network.link.receive(info(ldm=True))
        self.assertTrue(self.network.link.transport.disconnecting)
        self.network.link.lose()
        self.assertIs(connection.state, State.CLOSED)

    def test_stopped_by_the_credentials_function(self) -> None:
        """The attempt that it is asked for is given up."""

        def stop() -> Credentials:
            stopped.append(connection.stopService())
            return Credentials()

        stopped: list[Deferred[None]] = []
        connection = self.connection(credentials=stop)
        connection.startService()
        self.clock.advance(0)
        self.assertEqual(self.network.asked, [])
        self.successResultOf(stopped[0])
        self.assertEqual(self.events(), [(ConnectionEvent.CLOSED, "None")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_started_by_an_observer(self) -> None:
        """When CLOSED is reported, it may start again."""
        connection = self.connection()
        connection.observe(lambda change: connection.startService() if change.event is ConnectionEvent.CLOSED else None)
        self.connected(connection)
        stopped = connection.stopService()
        self.network.link.lose()
        self.successResultOf(stopped)
        self.accept()
        self.assertIs(connection.state, State.CONNECTED)

    def test_started_by_an_observer_at_once(self) -> None:
        """There is no TCP connection to wait for. The stop is over, and does not wait for the end of the new start."""
        connection = self.connection()
        connection.observe(lambda change: connection.startService() if change.event is ConnectionEvent.CLOSED else None)
        connection.startService()
        self.successResultOf(connection.stopService())
        self.accept()
        self.assertIs(connection.state, State.CONNECTED)

    def test_data_after_the_stop(self) -> None:
        """Over TLS a transport keeps reading until the other side has closed too. The data is ignored."""
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
