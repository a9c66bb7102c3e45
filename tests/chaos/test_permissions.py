"""Permissions change under load; ``python -m tests.chaos permissions`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.chaos import permissions
from tests.chaos.comparison import SENT, compare
from tests.chaos.messages import SUBJECTS, subject_of

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


class ViolationsTests(SynchronousTestCase):
    """What counts as a violation."""

    def violations(self, *numbers: int) -> list[str]:
        """Three messages to each of two subjects were published and confirmed, and these were seen."""
        published = [subject + SUBJECTS * round_ for round_ in range(3) for subject in (0, 1)]
        sightings = [(subject_of(number), number) for number in numbers]
        comparison = compare(3 * SUBJECTS, dict.fromkeys(published, SENT), sightings)
        return permissions.violations_of(attrs.evolve(comparison, unreported=0))

    def test_permitted_in_the_middle_of_a_batch(self) -> None:
        """The second message to the first subject was refused, and each of the batch is sent again."""
        self.assertEqual(self.violations(0, 1, 13, 24, 25, 12, 13, 24, 25), [])

    def test_out_of_order(self) -> None:
        """Nothing was sent again."""
        self.assertEqual(self.violations(0, 1, 13, 24, 25, 12), ["1 out of order"])

    def test_lost(self) -> None:
        """That is a violation whatever was sent again."""
        self.assertEqual(self.violations(0, 1, 13, 24, 25, 13, 24, 25), ["1 confirmed and never seen: [12]"])
