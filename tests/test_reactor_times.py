"""natsroute.monitoring.reactor_times"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.reactor_times import INTERVAL, ReactorTimes
from tests.support.waiting import run_one_call


class ReactorTimesTests(SynchronousTestCase):
    """A clock that moves only when the test advances it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.times = ReactorTimes(self.clock)
        self.times.startService()

    def measure(self, late: float = 0.0, turn: float = 0.0) -> None:
        """One measurement, by a reactor that is late, and whose turn takes a time."""
        self.clock.rightNow += INTERVAL + late
        run_one_call(self.clock)
        self.clock.rightNow += turn
        run_one_call(self.clock)

    def test_idle_reactor(self) -> None:
        """Ten measurements a second, none of them late."""
        for _ in range(10):
            self.measure()
        self.assertEqual(self.times.lateness.count, 10)
        self.assertAlmostEqual(self.times.lateness.sum, 0.0)
        self.assertEqual((self.times.turns.count, self.times.turns.sum), (10, 0.0))

    def test_late(self) -> None:
        self.measure(late=0.03)
        self.assertAlmostEqual(self.times.lateness.sum, 0.03)

    def test_turn(self) -> None:
        self.measure(turn=0.02)
        self.assertEqual(self.times.turns.count, 1)
        self.assertAlmostEqual(self.times.turns.sum, 0.02)

    def test_blocked(self) -> None:
        """What was due meanwhile counts as well: a block of 1 s is not one of eleven measurements, but all of them."""
        self.measure(late=1.05)
        self.assertEqual(self.times.lateness.count, 11)
        self.assertAlmostEqual(self.times.lateness.sum, sum(0.05 + 0.1 * number for number in range(11)))

    def test_blocked_for_an_hour(self) -> None:
        """As after the machine was suspended: the work for it is bounded."""
        self.measure(late=3600.0)
        self.assertEqual(self.times.lateness.count, 1001)

    def test_stop(self) -> None:
        """Before and after each of the two steps; a second start measures again."""
        self.times.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.times.startService()
        self.clock.rightNow += INTERVAL
        run_one_call(self.clock)
        self.times.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.times.startService()
        self.measure()
        self.assertEqual(self.times.turns.count, 1)
