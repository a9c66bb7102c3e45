"""natsroute.kamailio.differences"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.differences import DIFFERENCES


class DifferenceTests(SynchronousTestCase):
    """The list that the documentation shows."""

    def test_complete(self) -> None:
        """Each says everything, in one line."""
        for difference in DIFFERENCES:
            texts = (difference.about, difference.kamailio, difference.natsroute, difference.reason)
            self.assertTrue(all(texts), difference.name)
            self.assertFalse(any("\n" in text or text.endswith(".") for text in texts), difference.name)

    def test_names(self) -> None:
        """No two have the same."""
        names = [difference.name for difference in DIFFERENCES]
        self.assertEqual(len(names), len(set(names)))
