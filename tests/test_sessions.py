"""natsroute.client.sessions; with a whole connection: :mod:`tests.test_connection_move`"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.protocol import NatsProtocol
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server
from natsroute.client.sessions import Sessions
from natsroute.client.subscription import PendingLimits
from natsroute.client.subscriptions import Subscriptions
from natsroute.client.totals import Totals
from natsroute.errors import ServerLeftError
from tests.support.connection_case import A, B
from tests.support.memory_network import Link

LEFT = b"UNSUB 1\r\nPING\r\n"


class SessionsTests(SynchronousTestCase):
    """The one in use, and those that are left."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lost: list[tuple[Server, Exception]] = []
        self.servers = ServerPool((A, B), Backoff(2.0, 10.0, 0.0), keep_order=True)
        self.subscriptions = Subscriptions(self.clock, lambda refusals: 10.0)
        self.totals = Totals()
        self.sessions = Sessions(
            self.clock,
            self.servers,
            self.subscriptions,
            self.totals,
            lambda server, reason: self.lost.append((server, reason)),
        )

    def subscribe(self, queue_group: str | None = "q") -> None:
        self.subscriptions.add("a", lambda msg: None, queue_group, PendingLimits(), lambda error: None)

    def link(self) -> Link:
        """A protocol that is ready, and not in use."""
        protocol = NatsProtocol(self.clock, name="me", version="1", on_login=self.subscriptions.subscribe_at)
        self.sessions.opened(protocol)
        link = Link(protocol)
        link.shake_hands()
        return link

    def begin(self, server: Server = A) -> Link:
        """A protocol in use."""
        link = self.link()
        self.sessions.begin(server, link.protocol)
        return link

    def test_begin(self) -> None:
        self.subscribe()
        link = self.begin()
        self.assertEqual((self.sessions.server, self.sessions.protocol), (A, link.protocol))
        self.assertNoResult(self.sessions.server_needed)
        self.assertEqual(self.totals.connects, 1)

    def test_lost(self) -> None:
        """It is reported once, when the server is no longer in use, and another one is needed."""
        link = self.begin()
        needed = self.sessions.server_needed
        self.clock.advance(60.0)
        link.lose()
        self.assertEqual([server for server, _ in self.lost], [A])
        self.assertEqual((self.sessions.server, self.sessions.protocol), (None, None))
        self.successResultOf(needed)
        self.assertEqual(self.servers.next(60.0), (B, 0.0))

    def test_a_fault_in_the_report(self) -> None:
        """Another server is needed nevertheless."""
        self.sessions._on_lost = lambda server, reason: 1 // 0
        link = self.begin()
        needed = self.sessions.server_needed
        link.lose()
        self.successResultOf(needed)
        self.failureResultOf(link.protocol.closed, ZeroDivisionError)

    def test_an_attempt_that_ends(self) -> None:
        """It was never in use."""
        link = self.begin()
        self.link().lose()
        self.assertEqual(self.lost, [])
        self.assertIs(self.sessions.protocol, link.protocol)

    def test_move(self) -> None:
        """Another server is needed, which is not the old one; that is left when the other one is in use."""
        self.subscribe()
        old = self.begin()
        self.clock.advance(60.0)
        old.transport.sent()
        self.sessions.move()
        self.successResultOf(self.sessions.server_needed)
        self.assertEqual([self.servers.next(60.0) for _ in range(2)], [(B, 0.0), (B, 2.0)])
        self.assertEqual(old.transport.sent(), b"")
        self.assertIs(self.sessions.protocol, old.protocol)
        new = self.begin(B)
        self.assertEqual(old.transport.sent(), LEFT)
        self.assertEqual((self.sessions.server, self.sessions.protocol), (B, new.protocol))
        old.answer_pings()
        old.receive(b"PONG\r\n")
        old.lose()
        self.assertEqual(self.lost, [])
        self.assertNoResult(self.sessions.server_needed)
        self.assertIsInstance(self.successResultOf(old.protocol.closed), ServerLeftError)

    def test_move_soon_after_the_login(self) -> None:
        """The backoff goes on."""
        self.subscribe()
        self.clock.advance(60.0)
        self.servers.next(60.0)
        self.begin()
        self.servers.next(60.0)
        self.clock.advance(1.9)
        self.sessions.move()
        self.assertEqual(self.servers.next(61.9), (B, 2.0))

    def test_lost_after_move(self) -> None:
        """Another server is needed already."""
        self.subscribe()
        old = self.begin()
        self.sessions.move()
        old.lose()
        self.assertEqual([server for server, _ in self.lost], [A])

    def test_leave_first(self) -> None:
        """A plain subscription: another server is needed when the old one has ended."""
        self.subscribe(None)
        old = self.begin()
        old.transport.sent()
        self.sessions.move()
        self.assertEqual(old.transport.sent(), LEFT)
        self.assertNoResult(self.sessions.server_needed)
        old.receive(b"PONG\r\n")
        old.lose()
        [(server, reason)] = self.lost
        self.assertIs(server, A)
        self.assertIsInstance(reason, ServerLeftError)
        self.successResultOf(self.sessions.server_needed)

    def test_leave_if_alone(self) -> None:
        self.subscribe()
        old = self.begin()
        self.sessions.move()
        old.transport.sent()
        self.sessions.leave_if_alone()
        self.assertEqual(old.transport.sent(), b"")
        self.subscribe(None)
        old.transport.sent()
        self.sessions.leave_if_alone()
        self.sessions.leave_if_alone()
        self.assertEqual(old.transport.sent(), b"UNSUB 1\r\nUNSUB 2\r\nPING\r\n")

    def test_close(self) -> None:
        """All end: the one in use, and those that are left."""
        self.successResultOf(Deferred.fromCoroutine(self.sessions.closed()))
        self.subscribe()
        old = self.begin()
        self.sessions.move()
        new = self.begin(B)
        self.sessions.close()
        closed = Deferred.fromCoroutine(self.sessions.closed())
        for link in (old, new):
            self.assertTrue(link.transport.disconnecting)
            self.assertNoResult(closed)
            link.lose()
        self.successResultOf(closed)

    def test_paused(self) -> None:
        """A new server is not read while a receiver is busy."""
        self.subscribe()
        subscription = next(iter(self.subscriptions._subscriptions.values()))
        self.subscriptions.pause(subscription)
        self.assertEqual(self.begin().transport.producerState, "paused")
