"""natsroute.daemon.code.trial"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.code.trial import Trial
from natsroute.errors import ReloadError
from tests.support.memory_process import MemoryProcessReactor


class TrialTests(SynchronousTestCase):
    """One trial, and a process in memory."""

    def setUp(self) -> None:
        self.reactor = MemoryProcessReactor()

    def trial(self) -> tuple[Trial, Any]:
        trial = Trial(self.reactor, Settings(event_routes="a.py", nats_url="nats://u:hunter2@a"), 10.0)
        return trial, self.reactor.processes[-1]

    def test_success(self) -> None:
        trial, process = self.trial()
        process._protocol.childDataReceived(1, b"nu")
        process._protocol.childDataReceived(1, b"ll\n")
        self.assertNoResult(trial.ended)
        process.end()
        self.successResultOf(trial.ended)
        self.successResultOf(trial.exited)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_command(self) -> None:
        """It names the code, and has no credentials."""
        _, process = self.trial()
        argument = process.command[-1]
        given = json.loads(argument)
        self.assertEqual(given["settings"]["event_routes"], [[str(Path("a.py").absolute())], ""])
        self.assertEqual(given["path"], sys.path)
        self.assertEqual(given["seconds"], 8.0)  # after which it says what blocks, before it is ended
        self.assertNotIn("hunter2", " ".join(process.command))

    def test_an_error(self) -> None:
        trial, process = self.trial()
        process._protocol.childDataReceived(1, b'"a.py is wrong"\n')
        process.end()
        self.assertEqual(str(self.failureResultOf(trial.ended, ReloadError).value), "a.py is wrong")

    def test_the_process_ends(self) -> None:
        """Without an answer: the error has the last line that it wrote, escaped."""
        trial, process = self.trial()
        process.write_error(b"x" * 5000 + b"\nSegmentation \x1bfault\n")
        process.end(3)
        error = str(self.failureResultOf(trial.ended, ReloadError).value)
        self.assertIn("it ended the process that it was tried in", error)
        self.assertIn("exit code 3", error)
        self.assertTrue(error.endswith(r": Segmentation \x1bfault"), error)

    def test_it_blocks(self) -> None:
        trial, process = self.trial()
        self.reactor.advance(9.9)
        self.assertNoResult(trial.ended)
        self.reactor.advance(0.2)
        self.assertIn("within 10 s (reload_timeout)", str(self.failureResultOf(trial.ended, ReloadError).value))
        self.assertTrue(process.stdin_closed)  # which ends it
        self.assertNoResult(trial.exited)
        process.end(15)
        self.successResultOf(trial.exited)

    def test_cancelled(self) -> None:
        trial, process = self.trial()
        trial.ended.cancel()
        self.failureResultOf(trial.ended, CancelledError)
        self.assertTrue(process.stdin_closed)
        process.end(15)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_process(self) -> None:
        """The system starts no more of them."""

        def spawn(*arguments: Any, **more: Any) -> None:
            raise OSError("out of processes")

        self.patch(self.reactor, "spawnProcess", spawn)
        trial = Trial(self.reactor, Settings(), 10.0)
        self.assertIn("out of processes", str(self.failureResultOf(trial.ended, ReloadError).value))
        self.successResultOf(trial.exited)
