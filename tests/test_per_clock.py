"""natsroute.routes.middleware.per_clock"""

from __future__ import annotations

import gc
from weakref import ref

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.routes.middleware.per_clock import PerClock


class PerClockTests(SynchronousTestCase):
    """A state for each clock."""

    def test_each_clock_by_itself(self) -> None:
        states: PerClock[list[int]] = PerClock(list)
        first, second = Clock(), Clock()
        states[ref(first)].append(1)
        self.assertEqual([states[ref(clock)] for clock in (first, second, first)], [[1], [], [1]])

    def test_a_clock_that_is_gone(self) -> None:
        """Its state is dropped when the next clock comes."""
        states: PerClock[list[int]] = PerClock(list)
        clock = Clock()
        states[ref(clock)].append(1)
        del clock
        gc.collect()
        self.assertEqual(len(states), 1)
        clock = Clock()
        self.assertEqual((states[ref(clock)], len(states)), ([], 1))
