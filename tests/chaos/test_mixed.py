"""All kinds of trouble in one run; ``python -m tests.chaos mixed`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import TestCase

from natsroute.client.subscription import PendingPolicy
from tests.chaos import mixed
from tests.chaos.busy_routes import PlannedError
from tests.chaos.outcome import Outcome

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))
SECONDS = 12.0
#: Figures that are 0 only if the run did not do what it is there for.
NOT_ZERO = ("succeeded", "failed", "dropped", "retried", "dead_lettered", "published by routes", "confirmed", "resent")


class MixedTests(TestCase):
    """Cuts, stalls, delays, single bytes, kills, bursts, slow and failing routes, and a stop under load."""

    async def run_with(self, pending_policy: PendingPolicy) -> Outcome:
        from twisted.internet import reactor

        folder = Path(self.mktemp()).absolute()
        outcome = await mixed.run(reactor, folder, SEED, SECONDS, pending_policy)
        self.flushLoggedErrors(PlannedError)
        self.assertEqual(outcome.violations, [], f"seed {SEED}: {outcome.figures}")
        for figure in NOT_ZERO:
            self.assertGreater(outcome.figures[figure], 0, f"seed {SEED}: {figure}")
        return outcome

    async def test_everything_adds_up(self) -> None:
        outcome = await self.run_with("pause")
        self.assertGreater(outcome.figures["most waiting at once"], mixed.MAX_PENDING, f"seed {SEED}")

    async def test_everything_adds_up_when_messages_are_dropped(self) -> None:
        await self.run_with("drop_oldest")
