"""Durations, counted in buckets: the histograms of the metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

#: Upper bounds of the buckets, in seconds. A route that does nothing takes a few microseconds; one that asks a database
#: takes milliseconds, and a slow one seconds.
BOUNDS = (
    0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0,
)  # fmt: skip


class Histogram:
    """
    How many durations were in which range, and their sum.

    :param bounds: the upper bounds of the buckets in seconds, in ascending order. A bucket includes its bound. One more
        bucket has no bound.

    :ivar bounds: the same.
    :ivar counts: how many durations are in each bucket, those of the last without a bound. (In the format of Prometheus
        each bucket includes the smaller ones: see :meth:`cumulative`.)
    :ivar sum: seconds, of all durations together.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """
        Count a duration.

        :param count: how often; more than 1 if this was one of several that were not measured.
        """
        if seconds < 0:  # the clock was set back
            seconds = 0.0
        self.counts[bisect_left(self.bounds, seconds)] += count
        self.sum += seconds * count

    @property
    def count(self) -> int:
        """How many durations it has."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """For each bucket its bound as Prometheus writes it, and how many durations are not above it."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts):
            total += count
            buckets.append((bound, total))
        return buckets

    def copy(self) -> Histogram:
        """The same at this moment, which does not change."""
        copied = Histogram(self.bounds)
        copied.counts, copied.sum = self.counts.copy(), self.sum
        return copied
