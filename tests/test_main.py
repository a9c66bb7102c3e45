"""natsroute.console.main"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from natsroute import __version__
from natsroute.console import main as main_module
from natsroute.console.commands import COMMANDS
from natsroute.console.main import main
from tests.support import ROOT
from tests.support.waiting import TIMEOUT


class MainTests(SynchronousTestCase):
    """Which command runs."""

    def end(self, *words: str) -> tuple[object, str, str]:
        """The exit code, and what was written to standard output and standard error."""
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        ending = self.assertRaises(SystemExit, main, words)
        return ending.code, out.getvalue(), err.getvalue()

    def test_help(self) -> None:
        for word in ("--help", "-h", "help"):
            code, out, _ = self.end(word)
            self.assertEqual(code, 0)
            for name, command in COMMANDS.items():
                self.assertRegex(out, rf"\n  {name} +{command.summary[:20]}")
            self.assertLessEqual(max(map(len, out.splitlines())), 100)

    def test_no_command(self) -> None:
        code, out, err = self.end()
        self.assertEqual((code, out), (2, ""))
        self.assertIn("Usage: natsroute COMMAND", err)

    def test_unknown_command(self) -> None:
        self.assertEqual(self.end("statsu"), (2, "", "natsroute: there is no command 'statsu'. Did you mean status?\n"))
        self.assertIn("'natsroute --help' lists all", self.end("xyz\x1b" * 100)[2])
        self.assertNotIn("\x1b", self.end("xyz\x1b")[2])

    def test_version(self) -> None:
        self.assertEqual(self.end("--version"), (0, f"natsroute {__version__}\n", ""))

    def test_command_line(self) -> None:
        """That of the process."""
        self.patch(sys, "argv", ["natsroute", "--version"])
        self.patch(sys, "stdout", io.StringIO())
        ending = self.assertRaises(SystemExit, main)
        self.assertEqual(ending.code, 0)

    def test_raw_command(self) -> None:
        """It gets its words as they are."""
        given: list[object] = []
        self.patch(main_module, "import_module", lambda name: SimpleNamespace(run=given.extend))
        code, _, _ = self.end("run", "--nats_url", "x", "--help")
        self.assertEqual((code, given), (0, ["--nats_url", "x", "--help"]))

    def test_usage_of_a_command(self) -> None:
        code, _, err = self.end("status", "--pid", "x")
        self.assertEqual(code, 2)
        self.assertIn("natsroute status: error: argument --pid", err)
        for name, command in COMMANDS.items():
            if not command.raw:
                code, out, _ = self.end(name, "--help")
                self.assertEqual(code, 0)
                self.assertTrue(out.startswith(f"usage: natsroute {name} "), out)
                self.assertIn("Exit codes: 0", out)

    def test_help_that_nobody_reads(self) -> None:
        """``natsroute run --help | head -1`` ends without a traceback."""
        reader, writer = os.pipe()
        os.close(reader)
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "natsroute", "run", "--help"],
                stdout=writer,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                timeout=TIMEOUT,
                check=False,
            )
        finally:
            os.close(writer)
        self.assertEqual((ended.returncode, ended.stderr), (0, b""))

    def test_modules(self) -> None:
        """Each command has its module."""
        for name, command in COMMANDS.items():
            self.assertEqual(command.module, f"natsroute.console.{name.replace('-', '_')}")
            module = __import__(command.module, fromlist=["run"])
            self.assertTrue(callable(module.run))
            self.assertEqual(hasattr(module, "add_arguments"), not command.raw)
