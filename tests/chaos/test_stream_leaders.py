"""Leaders step down and nodes are killed; ``python -m tests.chaos stream-leaders`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.chaos import stream_leaders

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))


class StreamLeaderTests(TestCase):
    """A short run."""

    async def test_run(self) -> None:
        """Nothing that the stream has acknowledged is lost, and consuming goes on."""
        from twisted.internet import reactor

        self.patch(stream_leaders, "MAX_PAUSE", 120.0)  # the machine may be busy
        outcome = await stream_leaders.run(reactor, Path(self.mktemp()).absolute(), SEED, 5.0)
        self.assertEqual(outcome.violations, [], f"seed {SEED}: {outcome.figures}")
