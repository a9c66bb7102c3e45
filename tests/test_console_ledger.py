"""natsroute.console.ledger"""

from __future__ import annotations

import json

from natsroute.console import ledger
from tests.support.console_case import ConsoleTestCase, sample_overview


class LedgerTests(ConsoleTestCase):
    """What it prints."""

    def test_tables(self) -> None:
        """The numbers are those of the overview; each dropped message is in one column."""
        code, printed = self.run_command(ledger, overview=sample_overview().as_json())
        self.assertEqual(code, 0)
        self.assertRegex(printed, r"\na:q +1,234 +1,000 +7 +6 +20 +201 +2\.5 s\n")
        self.assertRegex(printed, r"\nnats:a +1,234 +1,000 +7 +0 +0 +20 +0\n")
        self.assertNotIn("Connections", printed)

    def test_json(self) -> None:
        code, printed = self.run_command(ledger, "--json", ledger={"consumers": []})
        self.assertEqual((code, json.loads(printed)), (0, {"consumers": []}))
