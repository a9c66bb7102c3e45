"""natsroute.daemon.child_guard; tests.integration.test_twistd shows what happens when the parent is killed"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from natsroute.daemon.child_guard import TERMINATE_TIMEOUT
from tests.support.processes import alive
from tests.support.program import Program
from tests.support.waiting import until

#: Prints its process id, and waits.
WAIT = "import os, time; print(os.getpid(), flush=True); time.sleep(3600)"
#: Starts a child in its process group, prints both process ids, and ends.
LEAVE_A_CHILD = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {WAIT!r}], stdout=subprocess.PIPE)
print(child.stdout.readline().decode().strip(), flush=True)
"""


class ChildGuardTests(TestCase):
    """A command under a guard."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    def guard(self, program: str) -> Program:
        """Run a Python program under a guard."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        running = Program(self.reactor, [sys.executable, "-c", program], folder)
        self.addCleanup(running.stop)
        return running

    async def printed_pid(self, program: Program) -> int:
        """Wait until it has printed a process id."""
        await until(lambda: program.printed, self.reactor)
        return int(program.printed[0])

    async def test_exit_code(self) -> None:
        """It is the one of the command, or 128 and the number of the signal."""
        self.assertEqual(await self.guard("raise SystemExit(3)").ended(), 3)
        killed = self.guard("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        self.assertEqual(await killed.ended(), 128 + signal.SIGKILL)

    async def test_end_of_standard_input(self) -> None:
        """The command gets SIGTERM."""
        program = self.guard(WAIT)
        pid = await self.printed_pid(program)
        self.assertTrue(alive(pid))
        program.transport.closeStdin()
        self.assertEqual(await program.ended(), 128 + signal.SIGTERM)
        self.assertFalse(alive(pid))

    async def test_ignores_sigterm(self) -> None:
        """The command is killed after a while."""
        program = self.guard(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}")
        await self.printed_pid(program)
        began = self.reactor.seconds()
        program.transport.closeStdin()
        self.assertEqual(await program.ended(), 128 + signal.SIGKILL)
        self.assertGreaterEqual(self.reactor.seconds() - began, TERMINATE_TIMEOUT - 0.1)

    async def test_signals(self) -> None:
        """The guard ignores the signals of a service manager and a terminal: its parent decides."""
        program = self.guard(WAIT)
        pid = await self.printed_pid(program)
        for name in ("INT", "TERM", "HUP"):
            program.transport.signalProcess(name)
        program.transport.closeStdin()
        self.assertEqual(await program.ended(), 128 + signal.SIGTERM)
        self.assertFalse(alive(pid))

    async def test_killed(self) -> None:
        """On Linux, the command ends with a guard that is killed. It is no orphan that nobody can end."""
        program = self.guard(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}")
        pid = await self.printed_pid(program)
        program.transport.signalProcess("KILL")
        await until(lambda: not alive(pid), self.reactor)
        await program.ended()

    if not sys.platform.startswith("linux"):
        test_killed.skip = "only Linux tells a process that its parent has ended"  # type: ignore[attr-defined]

    async def test_children(self) -> None:
        """What the command leaves running ends with it."""
        program = self.guard(LEAVE_A_CHILD)
        pid = await self.printed_pid(program)
        self.assertEqual(await program.ended(), 0)
        await until(lambda: not alive(pid), self.reactor)
