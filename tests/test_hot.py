"""natsroute.hot: both implementations do the same."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute import hot
from natsroute.hot import pure


class ChoiceTests(SynchronousTestCase):
    """The names of the package."""

    def test_names(self) -> None:
        for name in hot.__all__:
            if name not in ("IMPLEMENTATION", "describe"):
                self.assertTrue(hasattr(pure, name), name)
                self.assertEqual(getattr(hot, name) is getattr(pure, name), hot.IMPLEMENTATION == "pure", name)
