"""natsroute.jetstream.consuming.heartbeats"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.consuming.heartbeats import Heartbeats


class HeartbeatsTests(SynchronousTestCase):
    """Heartbeats every 10 s."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.signs = 0
        self.missing: list[float] = []
        self.heartbeats = Heartbeats(self.clock, lambda: 10.0, lambda: self.signs, self._tick)
        self.heartbeats.start()

    def _tick(self, is_missing: bool) -> None:
        if is_missing:
            self.missing.append(self.clock.seconds())

    def test_missing(self) -> None:
        """Two intervals of silence, and again after two more."""
        self.clock.pump([1.0] * 20)
        self.assertEqual((self.missing, self.heartbeats.missed), ([], 0))
        self.clock.pump([1.0] * 5)
        self.assertEqual((self.missing, self.heartbeats.missed), ([25.0], 1))
        self.clock.pump([1.0] * 25)
        self.assertEqual(self.heartbeats.missed, 2)

    def test_signs(self) -> None:
        for _ in range(20):
            self.clock.pump([1.0] * 9)
            self.signs += 1
        self.assertEqual(self.missing, [])

    def test_reset(self) -> None:
        self.clock.pump([1.0] * 20)
        self.heartbeats.reset()
        self.clock.pump([1.0] * 20)
        self.assertEqual(self.missing, [])

    def test_stop(self) -> None:
        self.heartbeats.stop()
        self.heartbeats.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
