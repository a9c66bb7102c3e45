"""natsroute.daemon.connection_log"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server
from natsroute.daemon.connection_log import MAX_CAUSES, MAX_SERVER_ERRORS, ConnectionLog
from natsroute.errors import PendingLimitError
from tests.support.log_recorder import LogRecorder
from tests.support.memory_network import MemoryNetwork, info


class ConnectionLogTests(SynchronousTestCase):
    """What an operator needs, once."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.log = LogRecorder(self)
        self.clock = Clock()
        self.connection_log = ConnectionLog(self.clock)

    def connection(self, name: str, *hosts: str) -> Connection:
        connection = Connection(
            self.network.clock,
            ServerPool([Server(host) for host in hosts or ("a",)], Backoff(2.0, 10.0, 0.0), keep_order=True),
            endpoint_for=self.network.endpoint_for,
        )
        self.connection_log.watch(name, connection)
        connection.startService()
        return connection

    def test_a_server_that_is_down_is_logged_once(self) -> None:
        """However many connections try it, and however often."""
        self.network.refusing = {"nats://a:4222"}
        for name in ("one", "two", "three"):
            self.connection(name)
        self.network.clock.pump([0.0] + [10.0] * 50)
        self.assertEqual(
            self.log.lines("warn"),
            [
                "Cannot use nats://a:4222: Connection was refused by other side. natsroute keeps trying, "
                "and logs this cause only once"
            ],
        )

    def test_a_subscription_that_is_refused(self) -> None:
        """It is logged once, and when it is accepted."""
        self.connection("one").subscribe("a", lambda msg: None)
        self.network.clock.advance(0)
        refused = b"-ERR 'Permissions Violation for Subscription to \"a\"'\r\n"
        self.network.link.receive(info() + refused + b"PONG\r\n")
        self.network.link.transport.sent()
        for wait in (10.0, 20.0, 40.0):
            self.network.clock.advance(wait)
            self.network.link.receive(refused)
            self.assertIn(b"SUB a 1", self.network.link.answer_pings())
        self.assertEqual(
            [*self.log.lines("warn"), *self.log.lines("error")],
            [
                "one: nats://a:4222 refuses the subscription. natsroute asks again and again, and gets nothing so far",
                'one: the server says: Permissions Violation for Subscription to "a"',
            ],
        )
        self.network.clock.advance(80.0)
        self.network.link.answer_pings()
        self.assertEqual(len(self.log.matching("one: connected to nats://a:4222")), 1)

    def test_a_new_cause_is_logged(self) -> None:
        self.network.refusing = {"nats://a:4222"}
        self.connection("one")
        self.network.clock.advance(0)
        self.network.refusing = set()
        self.network.clock.advance(2)
        self.network.link.receive(info() + b"-ERR 'Authorization Violation'\r\n")
        self.network.link.lose()
        self.assertEqual(len(self.log.lines("warn")), 2)
        self.assertIn("Authorization Violation", self.log.lines("warn")[1])

    def test_causes_that_alternate(self) -> None:
        """Each is logged once, until the server is connected."""
        self.connection("one")
        for _ in range(2):
            for _ in range(20):
                self.network.refusing = {"nats://a:4222"}
                self.network.clock.advance(10)
                self.network.refusing = set()
                self.network.clock.advance(10)
                self.network.link.receive(b"HTTP/1.1 400 Bad Request\r\n")
                self.network.link.lose()
            first, second = self.log.lines("warn")
            self.assertIn("Connection was refused", first)
            self.assertIn("HTTP", second)
            self.network.clock.advance(10)
            self.network.link.shake_hands()
            self.network.clock.advance(60)
            self.network.link.lose()
            self.log.events.clear()

    def test_many_causes(self) -> None:
        """As many as a limit allows."""
        self.connection("one")
        for number in range(2 * MAX_CAUSES):
            self.network.clock.advance(10)
            self.network.link.receive(b"HTTP/1.1 %d\r\n" % number)
            self.network.link.lose()
        lines = self.log.lines("warn")
        self.assertEqual(len(lines), MAX_CAUSES)
        self.assertTrue(lines[-2].endswith("logs this cause only once"))
        self.assertTrue(lines[-1].endswith("logs no further causes until it is connected"))

    def test_connected_and_lost(self) -> None:
        self.connection("consumer a:q")
        for _ in range(2):
            self.network.clock.advance(0)
            self.network.link.shake_hands()
            self.network.clock.advance(60)
            self.network.link.lose()
        up = "consumer a:q: connected to nats://a:4222 (nats-server 2.15.1)"
        down = "consumer a:q: lost nats://a:4222: Connection was closed cleanly; reconnecting"
        self.assertEqual(self.log.lines(), [up, down, up, down])

    def test_a_server_error(self) -> None:
        self.connection("worker")
        self.network.clock.advance(0)
        self.network.link.shake_hands()
        self.network.link.receive(b"-ERR 'Slow Consumer'\r\n")
        self.assertEqual(self.log.lines("error"), ["worker: the server says: Slow Consumer"])

    def test_many_server_errors(self) -> None:
        """Each error once, up to a limit. After a reconnect they are logged again."""
        self.connection("worker")
        for _ in range(2):
            self.network.clock.advance(0)
            self.network.link.shake_hands()
            for number in range(100):
                self.network.link.receive(b"-ERR 'Error %d'\r\n" % (number // 2))
            errors = self.log.lines("error")
            self.assertEqual(len(errors), MAX_SERVER_ERRORS)
            self.assertEqual(errors[0], "worker: the server says: Error 0")
            self.assertIn("not logged until it reconnects", errors[-1])
            self.log.events.clear()
            self.network.clock.advance(60)
            self.network.link.lose()

    def test_overflow(self) -> None:
        """Once a minute for each connection."""
        error = PendingLimitError("a", "q", 3, 30, "pause")
        for seconds in (0, 59, 1):
            self.clock.advance(seconds)
            self.connection_log.overflow("one", error)
        self.connection_log.overflow("two", error)
        self.assertEqual(self.log.lines("warn"), [f"one: {error}", f"one: {error}", f"two: {error}"])

    def test_lame_duck(self) -> None:
        """The connection says where it leaves, before it is elsewhere."""
        connection = self.connection("worker", "a", "b")
        self.network.clock.advance(0)
        self.network.link.shake_hands()
        self.log.events.clear()
        self.network.link.receive(info(ldm=True))
        server = connection.status().server
        self.assertEqual(
            self.log.lines("info"), [f"worker: {server} shuts down soon (lame duck mode); moving to another server"]
        )

    def test_moved_in_lame_duck_mode(self) -> None:
        """No server is lost."""
        connection = self.connection("consumer", "a", "b")
        connection.subscribe("a", lambda msg: None, "q")
        self.network.clock.advance(0)
        old = self.network.link
        old.shake_hands()
        self.log.events.clear()
        old.receive(info(ldm=True))
        self.network.clock.advance(0)
        self.network.link.shake_hands()
        old.answer_pings()
        old.lose()
        server = connection.status().server
        self.assertEqual(self.log.lines("info")[1:], [f"consumer: connected to {server} (nats-server 2.15.1)"])
        self.assertEqual(self.log.lines("warn"), [])

    def test_control_characters(self) -> None:
        """None of them reaches the terminal."""
        self.connection("worker")
        self.network.clock.advance(0)
        self.network.link.shake_hands(version="1\x1b[31m\ud800")
        self.network.link.receive(b"-ERR 'a\x1b]0;b\x07'\r\n")
        self.assertEqual(
            self.log.lines(),
            [
                "worker: connected to nats://a:4222 (nats-server 1\\x1b[31m\\ud800)",
                "worker: the server says: a\\x1b]0;b\\x07",
            ],
        )
