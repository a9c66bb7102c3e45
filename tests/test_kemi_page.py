"""docs/kamailio/kemi.md: it lists the functions of KSR that there are"""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.kemi.ksr import FUNCTIONS
from tests.support import ROOT


class KemiPageTests(SynchronousTestCase):
    """The table of functions."""

    def test_functions(self) -> None:
        """Each function once, and no other."""
        page = (ROOT / "docs" / "kamailio" / "kemi.md").read_text(encoding="utf-8")
        table = page.partition("<!-- functions: begin -->")[2].partition("<!-- functions: end -->")[0]
        rows = [row.split("|")[2] for row in table.splitlines() if row.startswith("|")]
        listed = re.findall(r"`([\w.]+)`", " ".join(rows))
        self.assertEqual(sorted(listed), sorted(FUNCTIONS))
