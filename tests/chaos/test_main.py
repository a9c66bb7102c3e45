"""``python -m tests.chaos``, with a very short run"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from twisted.trial.unittest import TestCase

from tests.chaos.__main__ import RUNS
from tests.support import ROOT
from tests.support.program import Program


class CommandTests(TestCase):
    """Exit status and output."""

    async def run_command(self, *arguments: str) -> tuple[int, Sequence[str]]:
        """Run it; returns its exit status and what it printed."""
        from twisted.internet import reactor

        program = Program(reactor, [sys.executable, "-m", "tests.chaos", *arguments], ROOT)
        self.addCleanup(program.stop)
        return await program.ended(), program.printed

    async def test_restarts(self) -> None:
        status, printed = await self.run_command(
            "restarts", "--restarts", "1", "--rate", "500", "--uptime", "0.2", "0.3"
        )
        self.assertEqual(status, 0, printed)
        self.assertIn("seed 1", printed[0])
        self.assertIn("| messages | natsroute |", printed)
        self.assertIn("| **reported as sent, but lost** | 0 |", printed)

    async def test_help(self) -> None:
        """It lists the runs."""
        status, printed = await self.run_command("--help")
        self.assertEqual(status, 0)
        for run in RUNS:
            self.assertIn(run, "\n".join(printed))
