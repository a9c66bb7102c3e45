"""An account that maps subjects; ``python -m tests.chaos subject-mapping`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.chaos import subject_mapping

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))
#: Figures that are 0 only if the run did not do what it is there for.
NOT_ZERO = ("cuts", "confirmed", "failed to publish")


class SubjectMappingTests(TestCase):
    """A short run."""

    async def test_run(self) -> None:
        """Confirmed and never seen: none. Only what nats-server refuses fails."""
        from twisted.internet import reactor

        outcome = await subject_mapping.run(reactor, Path(self.mktemp()).absolute(), SEED, 4.0)
        self.assertEqual(outcome.violations, [], f"seed {SEED}: {outcome.figures}")
        for figure in NOT_ZERO:
            self.assertTrue(outcome.figures[figure], f"seed {SEED}: {figure}")
