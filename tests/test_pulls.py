"""natsroute.jetstream.consuming.pulls"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.consuming.pulls import Pulls


class PullsTests(SynchronousTestCase):
    """What is still to come."""

    def setUp(self) -> None:
        self.pulls = Pulls(30.0)

    def add(self, batch: int, received: int = 0, now: float = 0.0) -> int:
        """Send a pull; returns its number."""
        return self.pulls.add(batch, 1000, now, received).number

    def test_filled(self) -> None:
        """A pull that is filled ends without a word."""
        self.add(10)
        self.add(5, received=5)
        self.assertEqual(self.pulls.asked, 15)
        self.assertTrue(self.pulls.outstanding(14))
        self.assertFalse(self.pulls.outstanding(15))

    def test_unfilled(self) -> None:
        """The server says how many messages a pull did not bring."""
        first = self.add(10)
        second = self.add(5, received=6)
        self.assertIsNotNone(self.pulls.ended(first, 4, 6))
        self.assertEqual(self.pulls.asked, 11)
        self.assertFalse(self.pulls.outstanding(11))
        self.assertIsNone(self.pulls.ended(second, 0, 11))

    def test_unfilled_without_a_number(self) -> None:
        """Then the messages count that are thought to be missing."""
        first = self.add(10)
        self.add(5, received=6)
        self.pulls.ended(first, None, 7)
        self.assertEqual(self.pulls.asked, 12)

    def test_pulls_are_filled_alternately(self) -> None:
        """The server ends a pull that was thought to be filled: what it lacks, the later ones have brought."""
        first = self.add(10)
        self.add(10, received=5)
        self.assertEqual(self.pulls.asked, 20)
        self.add(5, received=12)  # the first one is thought to be filled
        self.assertIsNone(self.pulls.ended(first, 3, 12))
        self.assertEqual(self.pulls.asked, 22)
        self.assertTrue(self.pulls.outstanding(21))
        self.assertFalse(self.pulls.outstanding(22))

    def test_all_ended(self) -> None:
        """Without a pull, nothing is to come, whatever the server said."""
        first = self.add(10)
        self.pulls.ended(first, 1, 3)
        self.assertEqual(self.pulls.asked, 3)

    def test_more_missing_than_asked(self) -> None:
        self.add(10)
        second = self.add(10, received=4)
        self.pulls.ended(second, 10**18, 4)
        self.assertEqual(self.pulls.asked, 4)

    def test_expired(self) -> None:
        """A pull whose status was lost does not count for ever."""
        self.add(10, now=0.0)
        self.add(5, received=6, now=20.0)
        self.pulls.expire(30.5, 6)
        self.assertEqual(self.pulls.asked, 11)
        self.pulls.expire(51.0, 6)
        self.assertEqual(self.pulls.asked, 6)
        self.assertFalse(self.pulls.outstanding(6))

    def test_clear(self) -> None:
        """The statuses of the pulls before do not count any more."""
        first = self.add(10)
        self.assertTrue(self.pulls.is_current(first))
        self.pulls.clear(3)
        self.assertFalse(self.pulls.is_current(first))
        self.assertEqual(self.pulls.asked, 3)
        second = self.add(10, received=3)
        self.assertTrue(self.pulls.is_current(second))
        self.assertFalse(self.pulls.is_current(second + 1))
        self.assertEqual((self.pulls.asked, self.pulls.sent), (13, 2))

    def test_more_received_than_asked(self) -> None:
        """What was on its way when the pulls were cleared."""
        self.pulls.clear(3)
        self.add(10, received=5)
        self.assertEqual(self.pulls.asked, 15)
