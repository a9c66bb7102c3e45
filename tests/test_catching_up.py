"""natsroute.jetstream.consuming.catching_up"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.consuming.catching_up import CatchingUp


class CatchingUpTests(SynchronousTestCase):
    """The end of the beginning, once."""

    def setUp(self) -> None:
        self.notified = 0
        self.catching_up = CatchingUp(self.notify)

    def notify(self) -> None:
        """It has caught up."""
        self.notified += 1

    def test_nothing_there(self) -> None:
        self.catching_up.learn(0, 0)
        self.assertEqual((self.notified, self.catching_up.is_done), (1, True))

    def test_after_the_last_one(self) -> None:
        """Not before it has been handed over, although others arrive meanwhile."""
        self.catching_up.learn(2, 0)
        for sequence in (5, 6, 7):
            self.catching_up.arrived(sequence, 3)
        self.catching_up.handed_over(5)
        self.assertEqual(self.notified, 0)
        self.catching_up.handed_over(6)
        self.assertEqual(self.notified, 1)

    def test_some_were_removed(self) -> None:
        """A message says that nothing is left."""
        self.catching_up.learn(7, 0)
        self.catching_up.arrived(5, 0)
        self.assertEqual(self.notified, 0)
        self.catching_up.handed_over(5)
        self.assertEqual(self.notified, 1)

    def test_all_others_were_removed(self) -> None:
        """The server says it, before or after the last one was handed over."""
        self.catching_up.learn(7, 0)
        self.catching_up.arrived(5, 6)
        self.catching_up.learn(0, 5)
        self.assertEqual(self.notified, 0)
        self.catching_up.handed_over(5)
        self.assertEqual(self.notified, 1)
        other = CatchingUp(self.notify)
        other.learn(7, 0)
        other.arrived(5, 6)
        other.handed_over(5)
        other.learn(0, 5)
        self.assertEqual(self.notified, 2)

    def test_another_consumer(self) -> None:
        """It counts from its own beginning."""
        self.catching_up.learn(3, 0)
        self.catching_up.arrived(5, 2)
        self.catching_up.handed_over(5)
        self.catching_up.learn(4, 5)
        for sequence in (6, 7, 8):
            self.catching_up.arrived(sequence, 9)
            self.catching_up.handed_over(sequence)
        self.assertEqual(self.notified, 0)
        self.catching_up.arrived(9, 9)
        self.catching_up.handed_over(9)
        self.assertEqual(self.notified, 1)

    def test_once(self) -> None:
        self.catching_up.learn(0, 0)
        self.catching_up.learn(0, 0)
        self.catching_up.learn(1, 0)
        self.catching_up.arrived(1, 0)
        self.catching_up.handed_over(1)
        self.assertEqual(self.notified, 1)
