"""The first command of README, as a newcomer runs it: in a copy of the checkout, with nothing but Python there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.builds import COMMAND_TIMEOUT, LEFT_BEHIND, has_compiler
from tests.support import ROOT
from tests.support.documents import snippet, snippets
from tests.support.processes import listen_to_ctrl_c


class QuickStartTests(SynchronousTestCase):
    """It installs natsroute, starts a nats-server, and routes a call's events until Ctrl-C."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="natsroute-quick-start-", ignore_cleanup_errors=True)
        self.addCleanup(temporary.cleanup)
        self.copy = Path(temporary.name, "natsroute")
        shutil.copytree(ROOT, self.copy, ignore=LEFT_BEHIND)
        self.output = Path(temporary.name, "output")

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, as in a terminal of its own; it ends with the test."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NATSROUTE_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), clean.get("PATH", os.defpath)])
        with self.output.open("wb") as file:
            shell = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.copy,
                env={**clean, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=listen_to_ctrl_c,
            )

        def kill() -> None:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()

        self.addCleanup(kill)
        return shell

    def said(self) -> str:
        """All that it has printed."""
        return self.output.read_text("utf-8", "replace")  # it may be in the middle of a character

    def test_first_command(self) -> None:
        shell = self.start(snippets("console")[0].text)
        give_up = time.monotonic() + COMMAND_TIMEOUT
        while "presence.terminated for sip:alice@example.com" not in self.said():
            self.assertIsNone(shell.poll(), self.said())
            self.assertLess(time.monotonic(), give_up, self.said())
            time.sleep(0.1)
        os.killpg(shell.pid, signal.SIGINT)
        shell.wait(COMMAND_TIMEOUT)
        shown = snippet("README.md", "Try it", "text").text
        for state in ("trying", "early", "confirmed", "terminated"):
            for line in shown.replace("trying", state).splitlines():
                self.assertIn(f"{line}\n", self.said())
        self.assertIn("; compiled hot path\n" if has_compiler() else "; pure Python hot path", self.said())
        self.assertIn("Publisher: 8 published = 8 confirmed + 0 failed + 0 dropped + 0 in progress", self.said())
        self.assertNotIn("Traceback", self.said())
