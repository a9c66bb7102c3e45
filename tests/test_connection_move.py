"""natsroute.client.connection: a queue group's subscriptions move before the server in lame duck mode is left"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from natsroute.client.connection import Connection
from natsroute.client.server_pool import ServerPool
from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change
from natsroute.client.subscription import PendingLimits
from natsroute.wire.frames import Msg
from tests.support.connection_case import A, B, ConnectionTestCase
from tests.support.memory_network import Link, info

REFUSED = b'-ERR \'Permissions Violation for Subscription to "a" using queue "q"\'\r\n'
LEFT = b"UNSUB 1\r\nPING\r\n"


class MoveTestCase(ConnectionTestCase):
    """A connection to A that has a subscription in a queue group; B is the other server."""

    def in_lame_duck_mode(self, *servers: Server, queue_group: str | None = "q", **options: Any) -> Connection:
        """A connection whose server has just entered lame duck mode."""
        connection = self.connection(*(servers or (A, B)))
        self.subscription = connection.subscribe("a", self.messages.append, queue_group, **options)
        self.connected(connection)
        self.clock.advance(60.0)
        self.old = self.network.link
        self.old.transport.sent()
        self.changes.clear()
        self.old.receive(info(ldm=True))
        self.assertEqual(self.events(), [(ConnectionEvent.LAME_DUCK, "nats://a:4222")])
        self.assertIs(connection.state, State.LAME_DUCK)
        return connection

    def attempting(self, *servers: Server, **options: Any) -> Connection:
        """The same, and an attempt to connect to B has begun."""
        connection = self.in_lame_duck_mode(*servers, **options)
        self.clock.advance(0)
        self.new = self.network.link
        self.assertIsNot(self.new, self.old)
        return connection

    def moved(self, **options: Any) -> Connection:
        """The same, and B has the subscriptions."""
        connection = self.attempting(**options)
        self.new.shake_hands()
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://b:4222")])
        self.assertEqual(self.old.transport.sent(), LEFT)
        return connection

    def texts(self) -> list[bytes]:
        """The payloads of the messages so far."""
        return [msg.data for msg in self.messages]

    def deliver(self, link: Link, text: bytes, sid: int = 1) -> None:
        """A server sends a message."""
        link.receive(b"MSG a %d %d\r\n%b\r\n" % (sid, len(text), text))


class MoveTests(MoveTestCase):
    """The other server has the subscriptions first; the old one delivers all that is on its way."""

    def test_all_of_it(self) -> None:
        connection = self.attempting()
        self.deliver(self.old, b"1")
        self.new.receive(info())
        self.assertIn(b"\r\nSUB a q 1\r\nPING\r\n", self.new.transport.sent())
        self.deliver(self.old, b"2")
        self.assertEqual(self.old.transport.sent(), b"")
        self.assertEqual(str(connection.status().server), "nats://a:4222")
        self.new.receive(b"PONG\r\nMSG a 1 1\r\n3\r\n")
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://b:4222")])
        self.assertEqual(self.old.transport.sent(), LEFT)
        self.assertFalse(self.old.transport.disconnecting)
        self.deliver(self.old, b"4")
        self.deliver(self.new, b"5")
        self.old.receive(b"MSG a 1 1\r\n6\r\nPONG\r\n")
        self.assertTrue(self.old.transport.disconnecting)
        self.old.lose()
        self.assertEqual(self.texts(), [b"1", b"2", b"3", b"4", b"5", b"6"])
        self.assertEqual(self.events(), [])
        self.assertIs(connection.state, State.CONNECTED)
        self.assertEqual(str(connection.status().server), "nats://b:4222")
        self.assertEqual(connection.reconnects, 1)
        self.assertFalse(self.new.transport.disconnecting)

    def test_totals(self) -> None:
        """Both servers count, at the same time and afterwards."""
        connection = self.moved()
        before = connection.status()
        self.deliver(self.old, b"1")
        self.deliver(self.new, b"2")
        self.deliver(self.old, b"unknown", sid=9)
        size = len(b"MSG a 1 1\r\n1\r\n" * 2 + b"MSG a 9 7\r\nunknown\r\n")
        for _ in range(2):
            after = connection.status()
            self.assertEqual((after.messages_in, after.unclaimed), (3, 1))
            self.assertEqual(after.bytes_in - before.bytes_in, size)
            if self.old.protocol.state.is_open:
                self.old.lose()

    def test_announced_again(self) -> None:
        """A server that is left has nothing to say about the one in use."""
        connection = self.moved()
        self.old.receive(info(ldm=True, max_payload=5))
        self.assertEqual(self.events(), [])
        self.assertEqual(self.new.transport.sent(), b"")
        self.assertEqual(connection.max_payload, 1024)

    def test_an_error_of_the_old_server(self) -> None:
        """It does not concern the subscriptions at the new one."""
        connection = self.moved()
        self.old.receive(REFUSED)
        self.assertIs(connection.state, State.CONNECTED)
        self.assertIsNone(self.subscription.refused)

    def test_the_new_server_shuts_down_too(self) -> None:
        """While the first one is still being left."""
        connection = self.moved()
        self.clock.advance(60.0)
        self.new.answer_pings()
        self.network.refusing = {"nats://a:4222"}
        self.new.receive(info(ldm=True))
        self.clock.advance(0)
        self.assertEqual(self.network.asked[-1], "nats://a:4222")
        self.assertEqual(self.events()[0], (ConnectionEvent.LAME_DUCK, "nats://b:4222"))
        self.deliver(self.old, b"1")
        self.deliver(self.new, b"2")
        self.assertEqual(self.texts(), [b"1", b"2"])
        self.old.lose()
        self.assertIs(connection.state, State.LAME_DUCK)
        self.network.refusing = set()
        self.clock.advance(2.0)
        self.network.link.shake_hands()
        self.assertIs(connection.state, State.CONNECTED)
        self.assertEqual(self.new.transport.sent(), LEFT)

    def test_all_servers_in_lame_duck_mode(self) -> None:
        """Each accepts the login. The backoff keeps us from trying them without a delay."""
        connection = self.connection(A, B)
        connection.subscribe("a", self.messages.append, "q")
        connection.startService()
        for _ in range(20):
            self.clock.advance(0)
            if self.network.link.protocol.state.is_handshake:
                self.network.link.shake_hands(ldm=True)
        self.assertLess(len(self.network.links), 4)
        self.assertIs(connection.state, State.LAME_DUCK)

    def test_the_old_protocol_is_ending(self) -> None:
        """It is closed already, and its transport is not gone yet."""
        connection = self.attempting()
        self.old.receive(b"malformed\r\n")
        self.assertTrue(self.old.transport.aborted)
        self.new.shake_hands()
        self.assertIs(connection.state, State.CONNECTED)
        self.old.lose()
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://b:4222")])
        self.assertIs(connection.state, State.CONNECTED)

    def test_the_new_server_is_lost_first(self) -> None:
        """Before the old one has been left."""
        connection = self.moved()
        self.clock.advance(60.0)
        self.new.lose()
        self.assertEqual(self.events(), [(ConnectionEvent.DISCONNECTED, "nats://b:4222")])
        self.assertIs(connection.state, State.WAITING)
        self.deliver(self.old, b"1")
        self.clock.advance(0)
        self.network.link.shake_hands()
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://a:4222")])
        self.old.lose()
        self.assertIs(connection.state, State.CONNECTED)
        self.assertEqual(self.texts(), [b"1"])


class FailureTests(MoveTestCase):
    """What prevents the move, and what ends it."""

    def test_a_failed_attempt(self) -> None:
        """The old server delivers meanwhile, and is not tried."""
        self.network.refusing = {"nats://b:4222"}
        connection = self.in_lame_duck_mode()
        self.clock.advance(0)
        for delay in (2.0, 4.0):
            self.assertEqual(self.events(), [(ConnectionEvent.CONNECT_FAILED, "nats://b:4222")])
            self.assertIs(connection.state, State.LAME_DUCK)
            self.deliver(self.old, b"1")
            self.clock.advance(delay)
        self.assertEqual(self.network.asked, ["nats://a:4222", *["nats://b:4222"] * 3])
        self.assertEqual(self.texts(), [b"1", b"1"])
        self.assertFalse(self.old.transport.disconnecting)
        self.network.refusing.clear()
        self.clock.advance(8.0)
        self.network.link.shake_hands()
        self.assertIs(connection.state, State.CONNECTED)
        self.assertTrue(self.old.answer_pings().endswith(LEFT))
        self.assertTrue(self.old.transport.disconnecting)

    def test_cut_off_in_the_attempt(self) -> None:
        """The attempt goes on as an ordinary one."""
        connection = self.attempting()
        self.old.lose()
        self.assertEqual(self.events(), [(ConnectionEvent.DISCONNECTED, "nats://a:4222")])
        self.assertIs(connection.state, State.CONNECTING)
        self.assertIsNone(connection.status().server)
        self.new.shake_hands()
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://b:4222")])
        self.assertEqual(len(self.network.links), 2)
        self.deliver(self.new, b"1")
        self.assertEqual(self.texts(), [b"1"])

    def test_cut_off_between_two_attempts(self) -> None:
        """Ordinary reconnecting goes on, and the old server is tried again too."""
        self.network.refusing = {"nats://b:4222"}
        connection = self.in_lame_duck_mode()
        self.clock.advance(0)
        self.old.lose()
        self.assertIs(connection.state, State.WAITING)
        self.clock.advance(2.0)
        self.clock.advance(0)
        self.network.link.shake_hands()
        self.assertIs(connection.state, State.CONNECTED)
        self.assertEqual(str(connection.status().server), "nats://a:4222")

    def test_cut_off_and_then_a_failed_attempt(self) -> None:
        connection = self.attempting()
        self.old.lose()
        self.new.lose()
        self.assertEqual(
            [event for event, _ in self.events()], [ConnectionEvent.DISCONNECTED, ConnectionEvent.CONNECT_FAILED]
        )
        self.assertIs(connection.state, State.WAITING)
        self.clock.advance(0)
        self.network.link.shake_hands()
        self.assertIs(connection.state, State.CONNECTED)

    def test_refused_by_the_old_server(self) -> None:
        """The new one may accept the subscription."""
        connection = self.connection(A, B)
        connection.subscribe("a", self.messages.append, "q")
        connection.startService()
        self.clock.advance(0)
        old = self.network.link
        old.receive(info() + REFUSED + b"PONG\r\n" + info(ldm=True))
        self.assertIs(connection.state, State.LAME_DUCK)
        self.accept()
        self.assertIs(connection.state, State.CONNECTED)
        self.clock.advance(60.0)
        self.assertNotIn(b"SUB a", self.network.link.transport.sent())

    def test_refused_by_the_new_server(self) -> None:
        """The old server still has the subscription: the new one is left, and the next one tried."""
        failed: list[Server] = []
        self.patch(ServerPool, "failed", lambda pool, server, now: failed.append(server))
        connection = self.attempting()
        self.new.receive(info() + REFUSED)
        self.new.transport.sent()
        self.new.receive(b"PONG\r\n")
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECT_FAILED, "nats://b:4222")])
        self.assertEqual(failed, [B])
        self.assertIs(connection.state, State.LAME_DUCK)
        self.assertEqual(self.new.transport.sent(), LEFT)
        self.assertEqual(self.old.transport.sent(), b"")
        self.new.receive(b"MSG a 1 1\r\n1\r\nPONG\r\n")
        self.assertTrue(self.new.transport.disconnecting)
        self.new.lose()
        self.deliver(self.old, b"2")
        self.assertEqual(self.texts(), [b"1", b"2"])
        self.assertIn("Permissions Violation", str(connection.status().last_error))
        self.clock.advance(2.0)
        self.network.link.shake_hands()
        self.assertEqual(self.events(), [(ConnectionEvent.CONNECTED, "nats://b:4222")])

    def test_refused_when_the_old_server_is_gone(self) -> None:
        """The same as after any lost connection."""
        connection = self.attempting()
        self.old.lose()
        self.new.receive(info() + REFUSED + b"PONG\r\n")
        self.assertIs(connection.state, State.REFUSED)


class PlainTests(MoveTestCase):
    """Two servers with the same plain subscription would bring each message twice: the old one is left first."""

    def test_one_of_several(self) -> None:
        connection = self.connection(A, B)
        connection.subscribe("a", self.messages.append, "q")
        connection.subscribe("b", self.messages.append)
        self.connected(connection)
        link = self.network.link
        link.transport.sent()
        link.receive(info(ldm=True))
        self.assertEqual(link.transport.sent(), b"UNSUB 1\r\nUNSUB 2\r\nPING\r\n")
        self.clock.advance(0)
        self.assertEqual(len(self.network.links), 1)

    def test_without_subscriptions(self) -> None:
        """What was published is confirmed by the old server before the next one gets anything."""
        connection = self.connection(A, B)
        self.connected(connection)
        link = self.network.link
        link.transport.sent()
        link.receive(info(ldm=True))
        self.assertEqual(link.transport.sent(), b"PING\r\n")
        self.clock.advance(0)
        self.assertEqual(len(self.network.links), 1)

    def test_subscribed_during_the_move(self) -> None:
        """The old server is left at once, and never delivers for the new subscription."""
        for attempting in (False, True):
            connection = (self.attempting if attempting else self.in_lame_duck_mode)()
            if attempting:
                self.new.receive(info())
                self.new.transport.sent()
            connection.subscribe("b", self.messages.append)
            if attempting:
                self.assertEqual(self.old.transport.sent(), LEFT)
                self.assertEqual(self.new.transport.sent(), b"SUB b 2\r\n")
                self.new.receive(b"PONG\r\n")
            else:
                self.assertEqual(self.old.transport.sent(), b"SUB b 2\r\nUNSUB 1\r\nUNSUB 2\r\nPING\r\n")
                self.assertIn(b"SUB a q 1\r\nSUB b 2\r\n", self.accept())
            self.assertIs(connection.state, State.CONNECTED)
            self.assertEqual(self.old.transport.sent(), b"")
            self.old.receive(b"PONG\r\n")
            self.assertTrue(self.old.transport.disconnecting)
            self.old.lose()
            self.assertIs(connection.state, State.CONNECTED)

    def test_a_queue_group_subscribed_during_the_move(self) -> None:
        """It begins at both servers, as the login at the new one may fail; the move goes on."""
        connection = self.attempting()
        self.new.receive(info())
        self.new.transport.sent()
        connection.subscribe("b", self.messages.append, "q")
        self.assertEqual((self.old.transport.sent(), self.new.transport.sent()), (b"SUB b q 2\r\n",) * 2)
        self.deliver(self.old, b"1", sid=2)
        self.new.receive(b"PONG\r\n")
        self.assertIs(connection.state, State.CONNECTED)
        self.assertEqual(self.old.transport.sent(), b"UNSUB 1\r\nUNSUB 2\r\nPING\r\n")
        self.deliver(self.old, b"2", sid=2)
        self.deliver(self.new, b"3", sid=2)
        self.assertEqual(self.texts(), [b"1", b"2", b"3"])

    def test_a_queue_group_subscribed_while_a_server_is_left(self) -> None:
        """The new server refused another subscription: the new one begins at the old server, and only there."""
        connection = self.attempting()
        self.new.receive(info() + REFUSED + b"PONG\r\n")
        self.new.transport.sent()
        connection.subscribe("b", self.messages.append, "q")
        self.assertEqual((self.old.transport.sent(), self.new.transport.sent()), (b"SUB b q 2\r\n", b""))
        self.deliver(self.old, b"1", sid=2)
        self.assertEqual(self.texts(), [b"1"])

    def test_a_number_of_messages(self) -> None:
        """Two servers would count them apart: the old one is left first."""
        connection = self.connection(A, B)
        subscription = connection.subscribe("a", self.messages.append, "q")
        self.connected(connection)
        subscription.unsubscribe(10)
        link = self.network.link
        link.transport.sent()
        link.receive(info(ldm=True))
        self.assertEqual(link.transport.sent(), LEFT)

    def test_a_number_of_messages_during_the_move(self) -> None:
        """It gets that many in all, and then both servers hear that it has ended."""
        self.attempting()
        self.deliver(self.old, b"1")
        self.new.receive(info())
        self.new.transport.sent()
        self.subscription.unsubscribe(4)
        self.assertEqual((self.old.transport.sent(), self.new.transport.sent()), (b"UNSUB 1 4\r\n", b"UNSUB 1 3\r\n"))
        self.new.receive(b"PONG\r\n")
        self.old.transport.sent()
        self.deliver(self.old, b"2")
        self.deliver(self.new, b"3")
        self.deliver(self.old, b"4")
        self.assertEqual(self.new.transport.sent(), b"UNSUB 1\r\n")
        self.deliver(self.new, b"5")
        self.assertEqual(self.texts(), [b"1", b"2", b"3", b"4"])


class FlowControlTests(MoveTestCase):
    """A busy receiver while two servers deliver."""

    def test_paused(self) -> None:
        """Both are paused, and both are read again."""
        busy: list[Deferred[None]] = []

        def on_msg(msg: Msg) -> Deferred[None]:
            self.messages.append(msg)
            busy.append(Deferred())
            return busy[-1]

        connection = self.connection(A, B)
        connection.subscribe("a", on_msg, "q", limits=PendingLimits(messages=2))
        self.connected(connection)
        self.clock.advance(60.0)
        old = self.network.link
        old.receive(info(ldm=True))
        self.clock.advance(0)
        new = self.network.link
        new.receive(info())
        for number in range(4):
            self.deliver(old, b"%d" % number)
        self.assertEqual(old.transport.producerState, "paused")
        self.assertEqual(new.transport.producerState, "producing")  # the handshake needs the server's answer
        new.receive(b"PONG\r\nMSG a 1 1\r\n4\r\n")
        self.assertIs(connection.state, State.CONNECTED)
        self.assertEqual(new.transport.producerState, "paused")
        while busy:
            busy.pop().callback(None)
        self.assertEqual((old.transport.producerState, new.transport.producerState), ("producing", "producing"))
        self.assertEqual(self.texts(), [b"0", b"1", b"2", b"3", b"4"])

    def test_held(self) -> None:
        """Messages of both servers wait in the order of their arrival."""
        self.attempting()
        self.subscription.hold()
        self.new.receive(info())
        self.deliver(self.old, b"1")
        self.new.receive(b"PONG\r\nMSG a 1 1\r\n2\r\n")
        self.deliver(self.old, b"3")
        self.assertEqual((self.texts(), self.subscription.pending), ([], 3))
        self.subscription.release()
        self.assertEqual(self.texts(), [b"1", b"2", b"3"])


class DrainTests(MoveTestCase):
    """drain()"""

    def test_before_the_login(self) -> None:
        """The old server's messages arrive; the new one gets no subscription."""
        connection = self.attempting()
        drained = connection.drain()
        self.assertEqual(self.old.transport.sent(), LEFT)
        self.deliver(self.old, b"1")
        self.assertNotIn(b"SUB", self.new.shake_hands())
        self.assertIs(connection.state, State.CONNECTED)
        self.assertNoResult(drained)
        self.old.receive(b"MSG a 1 1\r\n2\r\nPONG\r\n")
        self.successResultOf(drained)
        self.assertEqual(self.texts(), [b"1", b"2"])

    def test_after_the_login(self) -> None:
        """The messages of both servers arrive."""
        connection = self.attempting()
        self.new.receive(info())
        self.new.transport.sent()
        drained = connection.drain()
        self.assertEqual((self.old.transport.sent(), self.new.transport.sent()), (LEFT, LEFT))
        self.old.receive(b"MSG a 1 1\r\n1\r\nPONG\r\n")
        self.new.receive(b"PONG\r\n")
        self.assertNoResult(drained)
        self.new.receive(b"MSG a 1 1\r\n2\r\nPONG\r\n")
        self.successResultOf(drained)
        self.assertEqual(self.texts(), [b"1", b"2"])

    def test_after_the_move(self) -> None:
        """It waits for the server that is left, too."""
        connection = self.moved()
        self.new.transport.sent()
        drained = connection.drain()
        self.assertIs(connection.state, State.DRAINING)
        self.new.answer_pings()
        self.assertNoResult(drained)
        self.old.receive(b"MSG a 1 1\r\n1\r\nPONG\r\n")
        self.assertEqual(self.texts(), [b"1"])
        self.old.lose()
        self.successResultOf(drained)
        self.assertIs(connection.state, State.CONNECTED)


class StopTests(MoveTestCase):
    """stopService()"""

    def test_in_the_attempt(self) -> None:
        """The attempt is given up, and both connections end."""
        connection = self.attempting()
        self.new.receive(info())
        stopped = connection.stopService()
        self.assertTrue(self.old.transport.disconnecting)
        self.assertTrue(self.new.transport.aborted)
        self.new.lose()
        self.assertNoResult(stopped)
        self.old.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.events(), [(ConnectionEvent.CLOSED, "None")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_between_two_attempts(self) -> None:
        self.network.refusing = {"nats://b:4222"}
        connection = self.in_lame_duck_mode()
        self.clock.advance(0)
        stopped = connection.stopService()
        self.assertNoResult(stopped)
        self.old.lose()
        self.successResultOf(stopped)
        self.clock.advance(60.0)
        self.assertEqual(len(self.network.asked), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_after_the_move(self) -> None:
        """Both connections are closed, whichever ends first."""
        for first in (0, 1):
            connection = self.moved()
            stopped = connection.stopService()
            links = [self.old, self.new]
            self.assertTrue(all(link.transport.disconnecting for link in links))
            links[first].lose()
            self.assertNoResult(stopped)
            links[1 - first].lose()
            self.successResultOf(stopped)
            self.assertIs(connection.state, State.CLOSED)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.changes.clear()

    def test_by_an_observer(self) -> None:
        """At each change of a move."""
        for event in (ConnectionEvent.LAME_DUCK, ConnectionEvent.CONNECT_FAILED, ConnectionEvent.CONNECTED):
            connection = self.connection(A, B)
            connection.subscribe("a", self.messages.append, "q")
            self.connected(connection)
            stopped: list[Deferred[None]] = []

            def stop(change: Change, connection: Any = connection, event: Any = event, stopped: Any = stopped) -> None:
                if change.event is event:
                    stopped.append(connection.stopService())

            connection.observe(stop)
            self.network.refusing = {"nats://b:4222"} if event is ConnectionEvent.CONNECT_FAILED else set()
            old = self.network.link
            old.receive(info(ldm=True))
            self.clock.advance(0)
            new = self.network.link
            if event is ConnectionEvent.CONNECTED:
                new.shake_hands()
                self.assertTrue(new.transport.disconnecting)
                new.lose()
            self.assertTrue(old.transport.disconnecting)
            self.assertNoResult(stopped[0])
            old.lose()
            self.successResultOf(stopped[0])
            self.assertIs(connection.state, State.CLOSED)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_by_an_observer_when_the_old_server_is_lost(self) -> None:
        """The attempt is given up."""
        connection = self.attempting()
        connection.observe(
            lambda change: connection.stopService() if change.event is ConnectionEvent.DISCONNECTED else None
        )
        self.old.lose()
        self.assertIs(connection.state, State.CLOSING)
        self.assertTrue(self.new.transport.aborted)
        self.new.lose()
        self.assertIs(connection.state, State.CLOSED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_started_again(self) -> None:
        """It starts anew when both have ended."""
        connection = self.attempting()
        connection.stopService()
        connection.startService()
        self.new.lose()
        self.assertIs(connection.state, State.RESTARTING)
        self.old.lose()
        self.assertIn(b"SUB a q 1", self.accept())
        self.assertIs(connection.state, State.CONNECTED)
