"""A route that is stuck; ``python -m tests.chaos stuck`` does it longer, with more."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.chaos import stuck
from tests.support.natsroute_process import CANNOT_MEASURE

SECONDS = 5.0
BYTES = 96 * 1024 * 1024


class StuckTests(TestCase):
    """natsroute's memory, in a process of its own."""

    timeout = 120
    if CANNOT_MEASURE:
        skip = CANNOT_MEASURE

    async def test_memory(self) -> None:
        """It holds what it may, reads no more, and handles everything afterwards."""
        from twisted.internet import reactor

        outcome = await stuck.run(reactor, Path(self.mktemp()).absolute(), SECONDS, BYTES)
        self.assertTrue(outcome.complete, outcome)
        self.assertLess(outcome.growth, stuck.ROOM, outcome)
        self.assertGreater(outcome.growth, stuck.PENDING // 1024 // 2, "too little was sent to show anything")
