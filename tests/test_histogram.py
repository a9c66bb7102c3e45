"""natsroute.monitoring.histogram"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.histogram import BOUNDS, Histogram


class HistogramTests(SynchronousTestCase):
    """Buckets of up to 1 and up to 2 seconds, and one above."""

    def setUp(self) -> None:
        self.histogram = Histogram((1.0, 2.0))

    def test_nothing(self) -> None:
        self.assertEqual((self.histogram.counts, self.histogram.count, self.histogram.sum), ([0, 0, 0], 0, 0.0))

    def test_bounds_are_inclusive(self) -> None:
        """A duration that equals a bound is in its bucket, as Prometheus' ``le`` says."""
        for seconds in (0.0, 1.0, 1.5, 2.0, 2.5):
            self.histogram.add(seconds)
        self.assertEqual(self.histogram.counts, [2, 2, 1])
        self.assertEqual((self.histogram.count, self.histogram.sum), (5, 7.0))

    def test_weight(self) -> None:
        """One that stands for several."""
        self.histogram.add(1.5, 4)
        self.assertEqual((self.histogram.counts, self.histogram.sum), ([0, 4, 0], 6.0))

    def test_clock_set_back(self) -> None:
        """A negative duration counts as none: the sum never becomes less."""
        self.histogram.add(-5.0)
        self.assertEqual((self.histogram.counts, self.histogram.sum), ([1, 0, 0], 0.0))

    def test_cumulative(self) -> None:
        """Each bucket has the smaller ones, and the last has all."""
        for seconds in (0.5, 1.5, 1.6, 9.0):
            self.histogram.add(seconds)
        self.assertEqual(self.histogram.cumulative(), [("1.0", 1), ("2.0", 3), ("+Inf", 4)])

    def test_copy(self) -> None:
        """A copy stays as it is."""
        self.histogram.add(1.0)
        copy = self.histogram.copy()
        self.histogram.add(1.0)
        self.assertEqual((copy.counts, copy.sum, copy.bounds), ([1, 0, 0], 1.0, (1.0, 2.0)))

    def test_default_bounds(self) -> None:
        """They are in order, and reach from microseconds to a minute."""
        self.assertEqual(list(BOUNDS), sorted(set(BOUNDS)))
        self.assertLessEqual(BOUNDS[0], 1e-5)
        self.assertEqual(BOUNDS[-1], 60.0)
