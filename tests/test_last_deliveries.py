"""natsroute.monitoring.last_deliveries"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.last_deliveries import INTERVAL, LastDeliveries


class LastDeliveriesTests(SynchronousTestCase):
    """Two consumers, whose counters are those of the test."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.received = [0, 0]
        self.deliveries = LastDeliveries(self.clock, lambda: tuple(self.received))
        self.deliveries.startService()

    def test_no_message(self) -> None:
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.deliveries.idle(), [None, None])

    def test_idle(self) -> None:
        """Since the look that saw the message; each consumer for itself."""
        self.clock.advance(0.5)
        self.received[1] += 3
        self.clock.pump([0.5] * 11)
        self.assertEqual(self.deliveries.idle(), [None, 5.0])
        self.received[0] += 1
        self.assertEqual(self.deliveries.idle(), [0.0, 5.0])
        self.clock.advance(0.25)
        self.assertEqual(self.deliveries.idle(), [0.25, 5.25])

    def test_resolution(self) -> None:
        """It is never more than the truth, and less by one interval at most."""
        for tenths in range(1, 10):
            self.clock.advance(tenths / 10)
            self.received[0] += 1
            self.clock.pump([0.01] * 400)
            idle = self.deliveries.idle()[0]
            assert idle is not None
            self.assertTrue(4.0 - INTERVAL - 0.02 <= idle <= 4.0 + 1e-6, idle)

    def test_before_the_start(self) -> None:
        """An overview may be asked for at any time."""
        self.assertEqual(LastDeliveries(self.clock, lambda: (0, 2)).idle(), [None, 0.0])

    def test_stop(self) -> None:
        """Nothing is left in the reactor, and a second start goes on."""
        self.deliveries.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.deliveries.startService()
        self.received[0] += 1
        self.clock.pump([1.0] * 3)
        self.assertEqual(self.deliveries.idle(), [2.0, None])
