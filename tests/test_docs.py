"""What the documents claim to be shown by a test is shown by one that is there."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import test_clusters, test_login, test_tls

ROOT = Path(__file__).parent.parent


class SecurityTests(SynchronousTestCase):
    """docs/security.md"""

    def test_each_test_that_it_names_is_there(self) -> None:
        there = {
            name
            for module in (test_clusters, test_login, test_tls)
            for one in vars(module).values()
            if isinstance(one, type)
            for name in dir(one)
        }
        named = re.findall(r"\b(test_\w+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8"))
        modules = {"test_login", "test_clusters", "test_zz_leaks"}
        self.assertGreater(len(named), 30)
        self.assertEqual(sorted(set(named) - there - modules), [])
