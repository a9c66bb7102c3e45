"""natsroute.daemon.connection_log"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server
from natsroute.daemon.connection_log import MAX_COMPLAINTS, ConnectionLog
from tests.support.cases import LogRecorder
from tests.support.memory_network import MemoryNetwork, info


class AnnouncementsTests(SynchronousTestCase):
    """What an operator needs, once."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.log = LogRecorder(self)
        self.announcements = ConnectionLog(Clock())

    def connection(self, name: str) -> Connection:
        connection = Connection(
            self.network.clock,
            ServerPool([Server("a")], Backoff(2.0, 10.0, 0.0)),
            endpoint_for=self.network.endpoint_for,
        )
        self.announcements.watch(name, connection)
        connection.startService()
        return connection

    def test_a_server_that_is_away_is_told_once(self) -> None:
        """However many connections try it, and however often."""
        self.network.refusing = {"nats://a:4222"}
        for name in ("one", "two", "three"):
            self.connection(name)
        self.network.clock.pump([0.0] + [10.0] * 50)
        self.assertEqual(
            self.log.lines("warn"),
            [
                "Cannot use nats://a:4222: Connection was refused by other side. natsroute keeps trying, "
                "in silence until that changes"
            ],
        )

    def test_a_new_cause_is_told(self) -> None:
        self.network.refusing = {"nats://a:4222"}
        self.connection("one")
        self.network.clock.advance(0)
        self.network.refusing = set()
        self.network.clock.advance(2)
        self.network.link.receive(info() + b"-ERR 'Authorization Violation'\r\n")
        self.network.link.lose()
        self.assertEqual(len(self.log.lines("warn")), 2)
        self.assertIn("Authorization Violation", self.log.lines("warn")[1])

    def test_come_and_gone(self) -> None:
        self.connection("consumer a:q")
        for _ in range(2):
            self.network.clock.advance(0)
            self.network.link.shake_hands()
            self.network.clock.advance(60)
            self.network.link.lose()
        up = "consumer a:q: connected to nats://a:4222 (nats-server 2.15.1)"
        down = "consumer a:q: lost nats://a:4222: Connection was closed cleanly; connecting again"
        self.assertEqual(self.log.lines(), [up, down, up, down])

    def test_what_the_server_says(self) -> None:
        self.connection("worker")
        self.network.clock.advance(0)
        self.network.link.shake_hands()
        self.network.link.receive(b"-ERR 'Slow Consumer'\r\n")
        self.assertEqual(self.log.lines("error"), ["worker: the server says: Slow Consumer"])

    def test_a_server_that_complains_of_everything(self) -> None:
        """Each complaint once, up to a bound; anew when it has connected again."""
        self.connection("worker")
        for _ in range(2):
            self.network.clock.advance(0)
            self.network.link.shake_hands()
            for number in range(100):
                self.network.link.receive(b"-ERR 'Complaint %d'\r\n" % (number // 2))
            errors = self.log.lines("error")
            self.assertEqual(len(errors), MAX_COMPLAINTS)
            self.assertEqual(errors[0], "worker: the server says: Complaint 0")
            self.assertIn("not logged until it connects again", errors[-1])
            self.log.events.clear()
            self.network.clock.advance(60)
            self.network.link.lose()

    def test_what_a_terminal_would_obey(self) -> None:
        self.connection("worker")
        self.network.clock.advance(0)
        self.network.link.shake_hands(version="1\x1b[31m\ud800")
        self.network.link.receive(b"-ERR 'a\x1b]0;b\x07'\r\n")
        self.assertEqual(
            self.log.lines(),
            ["worker: connected to nats://a:4222 (nats-server 1?[31m?)", "worker: the server says: a?]0;b?"],
        )
