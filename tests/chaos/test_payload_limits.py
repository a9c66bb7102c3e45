"""A cluster whose nodes differ in max_payload; ``python -m tests.chaos payload-limits`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.chaos import payload_limits

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))
#: Figures that are 0 only if the run did not do what it is there for.
NOT_ZERO = ("moves", "confirmed", "failed to publish", "consumed that are larger than the consumer's node takes")


class PayloadLimitsTests(TestCase):
    """A short run."""

    async def test_run(self) -> None:
        """Confirmed and never seen: none. Each message is consumed once."""
        from twisted.internet import reactor

        outcome = await payload_limits.run(reactor, Path(self.mktemp()).absolute(), SEED, 4.0)
        self.assertEqual(outcome.violations, [], f"seed {SEED}: {outcome.figures}")
        for figure in NOT_ZERO:
            self.assertTrue(outcome.figures[figure], f"seed {SEED}: {figure}")
