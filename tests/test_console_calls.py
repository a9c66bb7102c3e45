"""natsroute.console.calls"""

from __future__ import annotations

import json

from natsroute.console import calls
from tests.support.console_case import ConsoleTestCase, sample_overview


class CallsTests(ConsoleTestCase):
    """What it prints."""

    def test_table(self) -> None:
        """With the number of all, and what the service tells of them."""
        code, printed = self.run_command(calls, overview=sample_overview().as_json())
        self.assertEqual(code, 0)
        self.assertTrue(printed.startswith("Calls in flight: 20\nThe 1 oldest ones:\n"), printed)
        self.assertRegex(printed, r"nats:a +a\\x1b\[2J\\u202eb\\nc +1 min 15 s\n")
        self.assert_harmless(printed)

    def test_none(self) -> None:
        code, printed = self.run_command(calls, overview=sample_overview(calls=(), calls_in_flight=0).as_json())
        self.assertEqual((code, printed), (0, "Calls in flight: 0\n"))

    def test_json(self) -> None:
        code, printed = self.run_command(calls, "--json", calls={"calls": [], "calls_in_flight": 0})
        self.assertEqual((code, json.loads(printed)), (0, {"calls": [], "calls_in_flight": 0}))
