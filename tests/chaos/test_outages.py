"""tests.chaos.outages"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.chaos.outages import MAX_QUICK_UPTIME, START, Outage, plan_outages, seconds_of


class PlanTests(SynchronousTestCase):
    """plan_outages()"""

    def test_seed(self) -> None:
        """The seed decides."""
        self.assertEqual(plan_outages(1, 10, (1.0, 2.0)), plan_outages(1, 10, (1.0, 2.0)))
        self.assertNotEqual(plan_outages(1, 10, (1.0, 2.0)), plan_outages(2, 10, (1.0, 2.0)))

    def test_uptime(self) -> None:
        """nats-server runs that long between two rounds, and shorter between the kills of a round."""
        for outage in plan_outages(3, 50, (1.0, 2.0)):
            self.assertTrue(1.0 <= outage.uptime <= 2.0, outage)
        outages = plan_outages(3, 50, (1.0, 2.0), kills=6)
        self.assertEqual(len(outages), 300)
        for number, outage in enumerate(outages):
            self.assertEqual(outage.uptime <= MAX_QUICK_UPTIME, number % 6 > 0, outage)

    def test_seconds(self) -> None:
        """The kills, the waits, and the starts."""
        self.assertAlmostEqual(seconds_of([Outage(1.0, 0.5), Outage(2.0, 0.5)]), 4.0 + 2 * START)
