"""The command that starts the long runs, with a very short one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from twisted.trial.unittest import TestCase

from tests.support.program import ROOT, Program


class CommandTests(TestCase):
    """``python -m tests.chaos``"""

    timeout = 60

    async def call(self, *arguments: str) -> tuple[int, Sequence[str]]:
        """Its exit status, and what it printed."""
        from twisted.internet import reactor

        program = Program(reactor, [sys.executable, "-m", "tests.chaos", *arguments], ROOT)
        self.addCleanup(program.stop)
        return await program.ended(), program.printed

    async def test_restarts(self) -> None:
        status, printed = await self.call("restarts", "--restarts", "1", "--rate", "500", "--up", "0.2", "0.3")
        self.assertEqual(status, 0, printed)
        self.assertIn("seed 1", printed[0])
        self.assertIn("| messages | natsroute |", printed)
        self.assertIn("| **told to have been sent, and never seen** | 0 |", printed)

    async def test_help(self) -> None:
        """It names the runs."""
        status, printed = await self.call("--help")
        self.assertEqual(status, 0)
        for run in ("restarts", "compare", "mixed", "stuck"):
            self.assertIn(run, "\n".join(printed))
