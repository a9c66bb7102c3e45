"""A route that blocks; ``python -m tests.chaos blocked-route`` does it longer, with more messages."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.chaos import blocked_route
from tests.support.processes import CANNOT_MEASURE

SECONDS = 5.0
BYTES = 96 * 1024 * 1024


class BlockedRouteTests(TestCase):
    """The memory of natsroute in a process of its own."""

    if CANNOT_MEASURE:
        skip = CANNOT_MEASURE

    async def test_memory(self) -> None:
        """It holds no more than it may, stops reading, and handles everything later."""
        from twisted.internet import reactor

        outcome = await blocked_route.run(reactor, Path(self.mktemp()).absolute(), SECONDS, BYTES)
        self.assertTrue(outcome.complete, outcome)
        self.assertLess(outcome.growth, blocked_route.MAX_GROWTH, outcome)
        self.assertGreater(outcome.growth, blocked_route.PENDING // 1024 // 2, "too little was sent to show anything")
