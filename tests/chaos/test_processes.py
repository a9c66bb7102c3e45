"""Processes are replaced and killed under load; ``python -m tests.chaos processes`` does it longer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import TestCase

from tests.chaos import processes
from tests.chaos.processes import Answers, kill_again_and_again, reload_again_and_again

SEED = int(os.environ.get("NATSROUTE_CHAOS_SEED", "1"))


class ProcessesTests(TestCase):
    """natsroute with two processes."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.folder = Path(self.mktemp()).absolute()

    async def test_reloads(self) -> None:
        """Each message is answered exactly once, by one version or the other."""
        found = await reload_again_and_again(self.reactor, self.folder, SEED, 2, 2_000.0)
        self.assertEqual(found.violations, [], f"seed {SEED}: {found.figures}")

    async def test_kills(self) -> None:
        """What is lost was in the process that was killed. The machine may be busy, so it may take longer here."""
        with mock.patch.object(processes, "READY_WITHIN", 300.0):
            found = await kill_again_and_again(self.reactor, self.folder, SEED, 3, 2_000.0, settle=0.0)
        self.assertEqual(found.violations, [], f"seed {SEED}: {found.figures}")


class AnswersTests(TestCase):
    """The counts that the runs rely on."""

    def test_counts(self) -> None:
        answers = [(0, 7, "a", 0), (1, 8, "a", 1), (1, 8, "a", 1), (1, 8, "a", 3), (0, 7, "b", 0)]
        found = Answers.of({"a": 5, "b": 1}, answers)
        self.assertEqual((found.never, found.twice), (2, 1))
        self.assertEqual((found.versions, found.processes), ({0: 2, 1: 3}, {7: 2, 8: 3}))
