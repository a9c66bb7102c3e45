"""natsroute.monitoring.http.health"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.http.health import MAX_REASONS, live, ready
from natsroute.monitoring.overview import Reason

REASONS = [Reason("a", "x", "one", 1), Reason("b", "y", "two"), Reason("a", "z", "three")]


class HealthTests(SynchronousTestCase):
    """The answers; tests.test_site asks for them."""

    def test_well(self) -> None:
        for function, name in ((live, "alive"), (ready, "ready")):
            answer = function([], detail=True)
            self.assertEqual((answer.status, json.loads(answer.body)), (200, {name: True, "reasons": []}))

    def test_not_well(self) -> None:
        answer = ready(REASONS, detail=True)
        self.assertEqual(answer.status, 503)
        self.assertEqual(
            json.loads(answer.body)["reasons"][0], {"code": "a", "about": "x", "text": "one", "process": 1}
        )

    def test_codes_only(self) -> None:
        """Each code once."""
        self.assertEqual(json.loads(ready(REASONS, detail=False).body)["reasons"], [{"code": "a"}, {"code": "b"}])

    def test_many(self) -> None:
        """The first of them, and how many more there are."""
        body = json.loads(ready([REASONS[0]] * (MAX_REASONS + 5), detail=True).body)
        self.assertEqual((len(body["reasons"]), body["more"]), (MAX_REASONS, 5))
        body = json.loads(ready([REASONS[0]] * (MAX_REASONS + 5), detail=False).body)
        self.assertEqual(body, {"ready": False, "reasons": [{"code": "a"}]})
