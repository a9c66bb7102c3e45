"""tests.chaos.busy_routes, whose record must find what it is there to find"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.chaos.busy_routes import RouteRecord, ServiceTotals


class RouteRecordTests(SynchronousTestCase):
    """RouteRecord"""

    def test_violations(self) -> None:
        """Each total that differs is one, and so is a message that came twice."""
        record = RouteRecord()
        self.assertEqual(record.violations(ServiceTotals()), [])
        for field in attrs.fields(ServiceTotals):
            self.assertEqual(len(record.violations(ServiceTotals(**{field.name: 1}))), 1)
        record.begun["a", 1] += 2
        record.succeeded = 2
        self.assertEqual(
            record.violations(ServiceTotals(received=2, succeeded=2)),
            ["messages delivered to a route more than once = 0: 1 != 0"],
        )
