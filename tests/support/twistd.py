"""``twistd`` in a process of its own, as an operator runs it, with its output in a file."""

from __future__ import annotations

import codecs
import io
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import ROOT
from tests.support.environment import patient
from tests.support.processes import catches, listen_to_ctrl_c
from tests.support.waiting import TIMEOUT


class Twistd:
    """
    A running ``twistd --nodaemon``, which prints to a file.

    :param folder: its working directory.
    :param arguments: what follows ``--nodaemon --pidfile=``.
    :param environment: variables beside ours; those of ours that are settings of natsroute are left out.

    :cvar program: the words before the arguments.
    """

    program: tuple[str, ...] = (str(Path(sys.executable).with_name("twistd")), "--nodaemon", "--pidfile=")

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        descriptor, output = tempfile.mkstemp(prefix="output-", dir=folder)
        self._output = Path(output)
        with open(descriptor, "wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**patient(), "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(folder), **environment},
                start_new_session=True,
                preexec_fn=listen_to_ctrl_c,
            )

    def output(self) -> str:
        """All that it has printed so far, without a character of which only a part is there."""
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
        return decoder.decode(self._output.read_bytes())

    def wait(self) -> int:
        """Wait until it has ended; returns its exit code."""
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        """Kill it. The child guard in its group has to survive, so that it can end the embedded server."""
        self.process.kill()
        self.process.wait()


class TwistdTestCase(SynchronousTestCase):
    """
    A folder, and programs that run there and end with the test.

    :cvar files: the files of the folder: names and contents.
    """

    files: dict[str, str] = {}

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        for name, content in self.files.items():
            (self.folder / name).write_text(content, encoding="utf-8")

    def run_program(self, *arguments: str, kind: type[Twistd] = Twistd, **environment: str) -> Twistd:
        """Start ``twistd`` in the folder; see :class:`Twistd`."""
        program = kind(self.folder, *arguments, **environment)
        self.addCleanup(program.kill)
        return program

    def until(self, condition: Callable[[], object], program: Twistd) -> None:
        """Wait for a condition; a failure shows what the program has printed."""
        give_up = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > give_up:
                self.fail(f"did not happen within {TIMEOUT} s; the program printed:\n{program.output()}")
            time.sleep(0.02)

    def stop_twice(self, program: Twistd, first: signal.Signals, second: signal.Signals) -> None:
        """Send two signals that stop it, the second when it has handled the first; returns when it has handled both."""
        program.process.send_signal(first)
        self.wait_for(f"Received {first.name}", program)
        program.process.send_signal(second)
        # After the second, the default effect counts.
        self.until(lambda: not catches(program.process.pid, second), program)

    def wait_for(self, text: str, program: Twistd) -> None:
        """Wait until the program has printed a text."""
        self.until(lambda: text in program.output(), program)
