"""tests.support.secret_watch in processes of trial."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from tests.support import ROOT
from tests.support.program import Program

MODULE = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

import tests

class LeakTests(TestCase):
    def test_1(self):
        pass

    async def test_2(self):
        await deferLater(reactor, 0)
        Logger().info("the password is hunter2")

    def test_3(self):
        self.addCleanup(Logger().info, "hunter2")

    def test_4(self):
        pass
"""


class TrialTests(TestCase):
    """The tests that log a secret fail, and no others."""

    async def test_trial(self) -> None:
        """In any order, in one process and in two."""
        from twisted.internet import reactor

        for options in ([], ["--order", "toptobottom"], ["-j2"]):
            folder = Path(self.mktemp()).absolute()
            folder.mkdir()
            (folder / "leaking.py").write_text(MODULE, encoding="utf-8")
            command = [sys.executable, "-m", "twisted.trial", *options, "leaking"]
            environment: dict[str, Any] = {"PYTHONPATH": str(ROOT)}
            trial = Program(reactor, command, folder, environment)
            self.addCleanup(trial.stop)
            self.assertEqual(await trial.ended(), 1, trial.lines)
            printed = "\n".join(trial.printed)
            self.assertIn("FAILED (errors=2, successes=2)", printed)
            self.assertIn("SecretInLogError: ", printed)
            self.assertIn("the password is [a secret]", printed)
            for name in ("test_2", "test_3"):
                self.assertIn(f"leaking.LeakTests.{name}", printed)
