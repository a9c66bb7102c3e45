"""natsroute.client.transport.write_timeout, and its use in natsroute.client.protocol"""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from natsroute.client.options import Timing
from natsroute.client.protocol import NatsProtocol
from natsroute.client.transport.write_timeout import WriteTimeout
from natsroute.errors import ConnectionLostError
from tests.support.memory_network import Link, MemoryTransport


class WriteTimeoutTests(SynchronousTestCase):
    """The time that a transport has more to write than its socket takes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Exception] = []
        self.transport = MemoryTransport()
        self.writes = WriteTimeout(self.clock, 10.0, self.told.append)
        self.writes.watch(self.transport)

    def test_producer(self) -> None:
        """It is one that the transport tells of each change, and not one that it asks for more."""
        self.assertTrue(verifyObject(IPushProducer, self.writes))
        self.assertIs(self.transport.producer, self.writes)
        self.assertTrue(self.transport.streaming)

    def test_nothing_is_stuck(self) -> None:
        """Without a pause no time is taken."""
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stuck(self) -> None:
        """At the end of the time, and once."""
        self.writes.pauseProducing()
        self.clock.advance(9.9)
        self.assertEqual(self.told, [])
        self.clock.advance(0.1)
        [error] = self.told
        self.assertIsInstance(error, ConnectionLostError)
        self.assertEqual(str(error), "no written data was sent within 10.0 s")
        self.clock.advance(100.0)
        self.assertEqual(len(self.told), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gone_out_in_time(self) -> None:
        self.writes.pauseProducing()
        self.clock.advance(9.9)
        self.writes.resumeProducing()
        self.clock.advance(100.0)
        self.assertEqual(self.told, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_pause_has_its_own_time(self) -> None:
        """What went before does not count."""
        self.writes.pauseProducing()
        self.clock.advance(6.0)
        self.writes.resumeProducing()
        self.writes.pauseProducing()
        self.clock.advance(9.9)
        self.assertEqual(self.told, [])
        self.clock.advance(0.2)
        self.assertEqual(len(self.told), 1)

    def test_told_twice_to_pause(self) -> None:
        """The first counts."""
        self.writes.pauseProducing()
        self.clock.advance(6.0)
        self.writes.pauseProducing()
        self.clock.advance(4.0)
        self.assertEqual(len(self.told), 1)

    def test_a_busy_connection_costs_one_timer(self) -> None:
        """It fills and empties its buffer all the time."""
        for _ in range(1_000):
            self.writes.pauseProducing()
            self.clock.advance(0.001)
            self.writes.resumeProducing()
            self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(100.0)
        self.assertEqual(self.told, [])

    def test_stop_producing(self) -> None:
        """The transport says so when its connection is lost."""
        self.writes.pauseProducing()
        self.writes.stopProducing()
        self.clock.advance(100.0)
        self.assertEqual(self.told, [])

    def test_stop(self) -> None:
        """No call is left; the transport is not spoken to."""
        self.writes.pauseProducing()
        self.writes.stop()
        self.writes.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(self.transport.producer, self.writes)

    def test_unwatch(self) -> None:
        """A transport with a producer would wait for more before it closes."""
        self.writes.pauseProducing()
        self.writes.unwatch()
        self.writes.unwatch()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.transport.producer)

    def test_unwatch_without_a_transport(self) -> None:
        """A connection may end before there is anything to watch."""
        WriteTimeout(self.clock, 10.0, self.told.append).unwatch()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ProtocolTests(SynchronousTestCase):
    """What a connection makes of it."""

    def setUp(self) -> None:
        self.clock = Clock()

    def link(self) -> Link:
        """A connection in the handshake."""
        timing = Timing(connect_timeout=2.0, ping_interval=1_000.0, write_timeout=10.0)
        return Link(NatsProtocol(self.clock, name="test", version="1.0", timing=timing))

    def connected(self) -> Link:
        link = self.link()
        link.shake_hands()
        self.successResultOf(link.protocol.ready)
        return link

    def test_watched_from_ready_on(self) -> None:
        """The handshake has a time of its own, and TLS may take the transport's place in it."""
        link = self.link()
        self.assertIsNone(link.transport.producer)
        link.shake_hands()
        self.assertIsInstance(link.transport.producer, WriteTimeout)

    def test_stuck(self) -> None:
        """The connection ends at once, and says why."""
        link = self.connected()
        pong = link.protocol.write_and_ping(b"")
        link.transport.producer.pauseProducing()
        self.clock.advance(9.9)
        self.assertFalse(link.transport.aborted)
        self.clock.advance(0.1)
        self.assertTrue(link.transport.aborted)
        self.assertIsNone(link.transport.producer)
        link.lose()
        reason = self.successResultOf(link.protocol.closed)
        self.assertIsInstance(reason, ConnectionLostError)
        self.assertIn("no written data was sent within 10.0 s", str(reason))
        self.failureResultOf(pong, ConnectionLostError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_resumed_in_time(self) -> None:
        link = self.connected()
        link.transport.producer.pauseProducing()
        self.clock.advance(9.9)
        link.transport.producer.resumeProducing()
        self.clock.advance(50.0)
        self.assertFalse(link.transport.aborted)
        self.assertNoResult(link.protocol.closed)

    def test_lost_while_stuck(self) -> None:
        """Whoever loses it does not hear of it a second time."""
        link = self.connected()
        link.transport.producer.pauseProducing()
        link.lose()
        self.assertNotIn("no written data was sent", str(self.successResultOf(link.protocol.closed)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_while_stuck(self) -> None:
        """It closes when all has gone out, and has ``connect_timeout`` for that."""
        link = self.connected()
        link.transport.producer.pauseProducing()
        link.protocol.close()
        self.assertIsNone(link.transport.producer)
        self.assertTrue(link.transport.disconnecting)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(2.0)
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_in_the_handshake(self) -> None:
        """There is nothing to let go of."""
        link = self.link()
        link.protocol.close()
        link.lose()
        self.failureResultOf(link.protocol.ready, ConnectionLostError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reading_is_not_touched(self) -> None:
        """A transport that writes no more may still be read from, which is how its end is noticed."""
        link = self.connected()
        link.transport.producer.pauseProducing()
        self.assertEqual(link.transport.producerState, "producing")
        link.receive(b"PING\r\n")
        self.assertEqual(link.transport.sent(), b"PONG\r\n")

    def test_pongs_do_not_pile_up(self) -> None:
        """Who does not read need not have an answer to each of its PINGs; one a second will do."""
        link = self.connected()
        link.transport.producer.pauseProducing()
        link.receive(b"PING\r\n" * 1_000)
        self.assertEqual(link.transport.sent(), b"PONG\r\n")
        self.clock.advance(1.0)
        link.receive(b"PING\r\n" * 1_000)
        self.assertEqual(link.transport.sent(), b"PONG\r\n")
        link.transport.producer.resumeProducing()
        link.receive(b"PING\r\n" * 10)
        self.assertEqual(link.transport.sent(), b"PONG\r\n" * 10)
