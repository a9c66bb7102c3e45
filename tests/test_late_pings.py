"""Late PINGs over a real Connection: lame duck mode, a stop meanwhile, and errors that come before the PONG."""

from __future__ import annotations

from typing import Any

from natsroute.daemon.sending.joining import join
from natsroute.publishing.options import PublishLimits
from natsroute.publishing.publisher import Publisher
from tests.support.connection_case import A, B, ConnectionTestCase
from tests.support.memory_network import info
from tests.support.memory_publisher import MemoryPool


class LatePingTests(ConnectionTestCase):
    """A publisher over a real Connection; the server takes what it gets."""

    def setUp(self) -> None:
        super().setUp()
        self.connection_ = self.connection(A, B)
        self.publisher = Publisher(
            [self.connection_],
            self.clock,
            run_in_pool=MemoryPool(),
            call_from_thread=lambda function, *arguments: function(*arguments),
            limits=PublishLimits(),
        )
        join(self.connection_, self.publisher.workers[0])
        self.connected(self.connection_)
        self.publisher.start()
        for _ in range(2):  # sparse traffic, and nobody waits
            self.publish(b"0")
            self.network.link.answer_pings()
        self.assertEqual(self.publisher.account().confirmed, 2)

    def publish(self, payload: bytes) -> None:
        self.clock.advance(0.001)
        self.publisher.publish("a", payload)
        self.clock.advance(0)

    def test_lame_duck(self) -> None:
        """The server confirms all that was written before it is left: nothing is sent twice."""
        old = self.network.link
        self.publish(b"once")
        old.receive(info(ldm=True, connect_urls=["b"]))
        said = old.answer_pings()
        self.assertEqual(said.count(b"once"), 1)
        self.clock.advance(0.002)
        old.answer_pings()
        old.lose()  # we have left it
        self.clock.advance(0)
        self.network.link.shake_hands()
        self.clock.advance(0)
        self.assertNotIn(b"once", self.network.link.answer_pings())
        account = self.publisher.account()
        self.assertEqual((account.confirmed, account.resent), (3, 0))

    def test_late_ping_in_lame_duck_mode(self) -> None:
        """A stop waits for the PONG of the server that is left, and no longer."""
        old = self.network.link
        self.publish(b"once")
        old.receive(info(ldm=True, connect_urls=["b"]))
        ended: list[Any] = []
        self.publisher.stop(30.0).addBoth(ended.append)
        old.answer_pings()
        self.clock.advance(0.01)
        old.answer_pings()
        if not ended:
            old.lose()  # we have left it
        self.clock.advance(0)
        account = self.publisher.account()
        self.assertEqual((account.confirmed, account.failed), (3, 0))
        self.assertEqual(len(ended), 1)

    def test_flush_in_lame_duck_mode(self) -> None:
        """A flush waits for the PONG of the server that is left."""
        old = self.network.link
        self.publish(b"once")
        old.receive(info(ldm=True, connect_urls=["b"]))
        flushed: list[Any] = []
        self.publisher.flush().addBoth(flushed.append)
        old.answer_pings()
        self.assertEqual(len(flushed), 1)

    def test_policy_fail(self) -> None:
        """The same in the turn in which the message is published, with a policy that lets it not be sent twice."""
        old = self.network.link
        self.clock.advance(0.001)
        kept = self.publisher.publish("a", b"once", policy="fail")
        old.receive(info(ldm=True, connect_urls=["b"]))  # read in the same iteration of the reactor
        self.clock.advance(0)
        said = old.answer_pings()
        self.assertIn(b"once", said)
        old.lose()
        self.assertIsNone(self.successResultOf(kept))

    def test_abandoned(self) -> None:
        """An error about a message that was abandoned without a PING is not about the next one."""
        link = self.network.link
        self.publish(b"refused")
        self.publisher.workers[0].abandon()
        kept = self.publisher.publish("b", b"taken")
        self.clock.advance(0)
        # The server reads all of it, and answers in order.
        said = link.transport.sent()
        answer = said.replace(b"PUB a 7\r\nrefused\r\n", b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n")
        link.receive(answer.replace(b"PUB b 5\r\ntaken\r\n", b"").replace(b"PING", b"PONG"))
        self.assertIsNone(self.successResultOf(kept))

    def test_failure_is_logged(self) -> None:
        """Nobody has the Deferred of a message that the server refuses: this is logged when its PONG arrives."""
        failures: list[Any] = []
        self.patch(self.publisher._unhandled, "add", lambda failure, subject: failures.append(failure))
        link = self.network.link
        self.publish(b"refused")
        self.clock.advance(0.002)
        link.receive(b"-ERR 'Permissions Violation for Publish to \"a\"'\r\n")
        link.answer_pings()
        self.clock.advance(60.0)
        self.assertEqual(self.publisher.account().failed, 1)
        self.assertEqual(len(failures), 1)
