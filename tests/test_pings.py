"""natsroute.client.pings; tests.test_protocol has its use on a connection"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.options import Timing
from natsroute.client.pings import Pings
from natsroute.client.transport.flow_control import FlowControl
from natsroute.errors import ConnectionLostError, ProtocolError


class PingsTests(SynchronousTestCase):
    """Pings"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.flow = FlowControl(self.clock)
        self.transport = StringTransport()
        self.sent = 0
        self.dead: list[Exception] = []
        timing = Timing(ping_interval=10.0, max_pings_outstanding=2)
        self.pings = Pings(self.clock, timing, self.flow, ping=self.ping, on_dead=self.dead.append)

    def ping(self) -> Deferred[None]:
        self.sent += 1
        return self.pings.sent()

    def test_in_order(self) -> None:
        """Each PONG belongs to the oldest PING that waits."""
        first, second = self.pings.sent(), self.pings.sent()
        self.pings.answered()
        self.successResultOf(first)
        self.assertNoResult(second)
        self.pings.answered()
        self.successResultOf(second)

    def test_a_pong_without_a_ping(self) -> None:
        self.pings.sent()
        self.pings.answered()
        self.assertEqual(str(self.assertRaises(ProtocolError, self.pings.answered)), "a PONG without a PING")

    def test_fail(self) -> None:
        """All that wait fail, and none of them twice."""
        waiting = [self.pings.sent(), self.pings.sent()]
        for _ in range(2):
            self.pings.fail(ZeroDivisionError("why"))
        for pong in waiting:
            self.assertEqual(str(self.failureResultOf(pong, ConnectionLostError).value), "why")

    def test_a_pong_that_pings(self) -> None:
        """What fires while the PINGs fail may send another one, which does not fail."""
        first = self.pings.sent()
        again: list[Deferred[None]] = []
        first.addErrback(lambda lost: again.append(self.pings.sent()))
        self.pings.fail(ZeroDivisionError())
        self.assertNoResult(again[0])

    def test_regular_pings(self) -> None:
        self.pings.start()
        for number in range(1, 6):
            self.clock.advance(9.9)
            self.assertEqual(self.sent, number - 1)
            self.clock.advance(0.1)
            self.assertEqual(self.sent, number)
            self.pings.answered()
        self.assertEqual(self.dead, [])

    def test_dead(self) -> None:
        """With the third interval, if two PINGs are not answered."""
        self.pings.start()
        self.clock.pump([10.0, 10.0])
        self.assertEqual((self.sent, self.dead), (2, []))
        self.clock.advance(10.0)
        self.assertEqual(self.sent, 2)
        [error] = self.dead
        self.assertIsInstance(error, ConnectionLostError)
        self.assertEqual(str(error), "2 PINGs without a PONG")

    def test_any_pong_shows_life(self) -> None:
        """Also that of a PING which was sent for another reason."""
        other = self.pings.sent()
        self.pings.start()
        self.clock.pump([10.0, 10.0])
        self.pings.answered()
        self.successResultOf(other)
        self.clock.advance(10.0)
        self.assertEqual((self.sent, self.dead), (3, []))

    def test_paused(self) -> None:
        """No PONG can be read, so none is missed; the interval goes on."""
        self.pings.start()
        self.clock.pump([10.0, 10.0])
        self.flow.pause(self.transport)
        self.clock.pump([10.0] * 5)
        self.assertEqual((self.sent, self.dead), (2, []))
        self.flow.resume(self.transport)
        self.pings.forgive()
        self.clock.pump([10.0, 10.0])
        self.assertEqual((self.sent, self.dead), (4, []))
        self.clock.advance(10.0)
        self.assertEqual((self.sent, len(self.dead)), (4, 1))

    def test_stop(self) -> None:
        self.pings.stop()
        self.pings.start()
        self.pings.stop()
        self.pings.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_while_a_regular_ping_waits(self) -> None:
        """Nobody waits for its Deferred, and its failure is not logged."""
        self.pings.start()
        self.clock.advance(10.0)
        self.pings.fail(ConnectionLostError("lost"))
        self.assertEqual(self.flushLoggedErrors(), [])
