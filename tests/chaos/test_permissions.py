"""Permissions change under load; ``python -m tests.chaos permissions`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.chaos import permissions

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))
#: Figures that are 0 only if the run did not do what it is there for.
NOT_ZERO = ("reloads", "confirmed", "failed to publish", "consumed after the last reload")


class PermissionsTests(TestCase):
    """A short run."""

    async def test_run(self) -> None:
        """Confirmed and never seen: none. Each message is consumed once."""
        from twisted.internet import reactor

        outcome = await permissions.run(reactor, Path(self.mktemp()).absolute(), SEED, 4.0)
        self.assertEqual(outcome.violations, [], f"seed {SEED}: {outcome.figures}")
        for figure in NOT_ZERO:
            self.assertTrue(outcome.figures[figure], f"seed {SEED}: {figure}")
