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
    """WriteTimeout"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.errors: list[Exception] = []
        self.transport = MemoryTransport()
        self.write_timeout = WriteTimeout(self.clock, 10.0, self.errors.append)
        self.write_timeout.watch(self.transport)

    def test_producer(self) -> None:
        """It is a push producer, which the transport pauses and resumes."""
        self.assertTrue(verifyObject(IPushProducer, self.write_timeout))
        self.assertIs(self.transport.producer, self.write_timeout)
        self.assertTrue(self.transport.streaming)

    def test_no_pause(self) -> None:
        """There is no timer without a pause."""
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timeout(self) -> None:
        """on_timeout is called once."""
        self.write_timeout.pauseProducing()
        self.clock.advance(9.9)
        self.assertEqual(self.errors, [])
        self.clock.advance(0.1)
        [error] = self.errors
        self.assertIsInstance(error, ConnectionLostError)
        self.assertEqual(str(error), "no written data was sent within 10.0 s")
        self.clock.advance(100.0)
        self.assertEqual(len(self.errors), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gone_out_in_time(self) -> None:
        self.write_timeout.pauseProducing()
        self.clock.advance(9.9)
        self.write_timeout.resumeProducing()
        self.clock.advance(100.0)
        self.assertEqual(self.errors, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_pause_has_its_own_time(self) -> None:
        """Earlier pauses do not count."""
        self.write_timeout.pauseProducing()
        self.clock.advance(6.0)
        self.write_timeout.resumeProducing()
        self.write_timeout.pauseProducing()
        self.clock.advance(9.9)
        self.assertEqual(self.errors, [])
        self.clock.advance(0.2)
        self.assertEqual(len(self.errors), 1)

    def test_paused_twice(self) -> None:
        """The first counts."""
        self.write_timeout.pauseProducing()
        self.clock.advance(6.0)
        self.write_timeout.pauseProducing()
        self.clock.advance(4.0)
        self.assertEqual(len(self.errors), 1)

    def test_a_busy_connection_costs_one_timer(self) -> None:
        """Its buffer fills and empties all the time."""
        for _ in range(1_000):
            self.write_timeout.pauseProducing()
            self.clock.advance(0.001)
            self.write_timeout.resumeProducing()
            self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(100.0)
        self.assertEqual(self.errors, [])

    def test_stop_producing(self) -> None:
        """The transport calls it when the connection is lost."""
        self.write_timeout.pauseProducing()
        self.write_timeout.stopProducing()
        self.clock.advance(100.0)
        self.assertEqual(self.errors, [])

    def test_stop(self) -> None:
        """No timer is left. The transport is not called."""
        self.write_timeout.pauseProducing()
        self.write_timeout.stop()
        self.write_timeout.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(self.transport.producer, self.write_timeout)

    def test_unwatch(self) -> None:
        """The producer is removed, because a transport with a producer does not close."""
        self.write_timeout.pauseProducing()
        self.write_timeout.unwatch()
        self.write_timeout.unwatch()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.transport.producer)

    def test_unwatch_without_a_transport(self) -> None:
        """A connection may end before the transport is watched."""
        WriteTimeout(self.clock, 10.0, self.errors.append).unwatch()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ProtocolTests(SynchronousTestCase):
    """The write timeout of a connection."""

    def setUp(self) -> None:
        self.clock = Clock()

    def link(self) -> Link:
        """A connection before the handshake."""
        timing = Timing(connect_timeout=2.0, ping_interval=1_000.0, write_timeout=10.0)
        return Link(NatsProtocol(self.clock, name="test", version="1.0", timing=timing))

    def connected(self) -> Link:
        link = self.link()
        link.shake_hands()
        self.successResultOf(link.protocol.ready)
        return link

    def test_watched_from_ready_on(self) -> None:
        """The handshake has a timeout of its own, and TLS may replace the transport during it."""
        link = self.link()
        self.assertIsNone(link.transport.producer)
        link.shake_hands()
        self.assertIsInstance(link.transport.producer, WriteTimeout)

    def test_timeout(self) -> None:
        """The connection is aborted, with a reason."""
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

    def test_lost_while_timeout(self) -> None:
        """The reason of the loss is reported, and no timer is left."""
        link = self.connected()
        link.transport.producer.pauseProducing()
        link.lose()
        self.assertNotIn("no written data was sent", str(self.successResultOf(link.protocol.closed)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_while_timeout(self) -> None:
        """It closes when all data is sent, or after ``connect_timeout``."""
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
        """No transport is watched yet."""
        link = self.link()
        link.protocol.close()
        link.lose()
        self.failureResultOf(link.protocol.ready, ConnectionLostError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reading_is_not_touched(self) -> None:
        """A transport that cannot write is still read: otherwise its end would not be noticed."""
        link = self.connected()
        link.transport.producer.pauseProducing()
        self.assertEqual(link.transport.producerState, "producing")
        link.receive(b"PING\r\n")
        self.assertEqual(link.transport.sent(), b"PONG\r\n")

    def test_pongs_do_not_accumulate(self) -> None:
        """A server that does not read gets one PONG a second at most."""
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
