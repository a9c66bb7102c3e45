"""docs/jetstream-consuming.md: its snippets run"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any
from unittest import TestResult, defaultTestLoader, mock

from twisted.trial.unittest import SynchronousTestCase

from natsroute.testing import Acknowledged, RouteTester
from tests.support.documents import snippet

DOCUMENT = "docs/jetstream-consuming.md"


class DocumentTests(SynchronousTestCase):
    """The document"""

    def names(self, heading: str) -> dict[str, Any]:
        """What a snippet defines."""
        names: dict[str, Any] = {"__name__": "snippet"}
        exec(snippet(DOCUMENT, heading).source, names)
        return names

    def test_testing(self) -> None:
        """Both tests pass with the routes of the first snippet, and one fails with other routes."""
        routes: Any = ModuleType("routes")
        routes.event_route = self.names("Consuming from streams")["event_route"]
        with mock.patch.dict(sys.modules, routes=routes):
            names = self.names("Testing")
        tests = defaultTestLoader.loadTestsFromTestCase(names["BillingTests"])
        result = TestResult()
        tests.run(result)
        self.assertEqual((result.testsRun, result.errors, result.failures), (2, [], []))

    def test_manual(self) -> None:
        """Nothing is acknowledged before all are published."""
        tester = RouteTester(self.names("When it is acknowledged")["event_route"])
        for sequence in range(99):
            self.successResultOf(tester.deliver("calls.ended", sequence, stream="CALLS", sequence=sequence))
        self.assertEqual(tester.acknowledged, [])
        self.successResultOf(tester.deliver("calls.ended", 99, stream="CALLS", sequence=99))
        self.assertEqual(tester.acknowledged, [Acknowledged("ack", sequence) for sequence in range(100)])
        self.assertEqual(len(tester.published), 1)
