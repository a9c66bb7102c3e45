"""tests.chaos.outages"""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from tests.chaos.outages import plan_outages


class PlanTests(SynchronousTestCase):
    """plan_outages()"""

    def test_seed(self) -> None:
        """The seed decides."""
        self.assertEqual(plan_outages(1, 10, (1.0, 2.0)), plan_outages(1, 10, (1.0, 2.0)))
        self.assertNotEqual(plan_outages(1, 10, (1.0, 2.0)), plan_outages(2, 10, (1.0, 2.0)))

    def test_uptime(self) -> None:
        """No outage begins before nats-server has run that long after the last one."""
        outages = plan_outages(3, 50, (1.0, 2.0))
        for before, after in pairwise(outages):
            self.assertGreaterEqual(after.at - before.at - before.duration, 1.0)
