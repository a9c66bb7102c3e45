"""natsroute.daemon.processes.child_process; tests.integration.test_processes starts real ones"""

from __future__ import annotations

import signal
import sys

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.processes import child_process
from natsroute.daemon.processes.child_process import MAX_LINE, NEWS, ChildProcess
from natsroute.daemon.processes.log_relay import event_line
from natsroute.daemon.processes.role import Role
from natsroute.daemon.processes.run import Exit
from tests.support.log_recorder import LogRecorder
from tests.support.memory_process import MemoryProcess, MemoryProcessReactor

ROLE = Role(2, "g")


class ChildProcessTests(SynchronousTestCase):
    """A child process, on a reactor in memory."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.reactor = MemoryProcessReactor()
        self.calls: list[object] = []
        self.child = ChildProcess(self.reactor, {"A": "b"}, "/folder")

    @property
    def process(self) -> MemoryProcess:
        return self.reactor.processes[-1]

    def assign(self) -> None:
        self.child.assign(ROLE, lambda: self.calls.append("ready"), self.calls.append)

    def test_command(self) -> None:
        """The command line has nothing of the settings. The role follows on standard input."""
        self.assertEqual(self.process.command, [sys.executable, "-m", "natsroute.daemon.processes.child_program"])
        self.assertEqual((self.process.options["env"], self.process.options["path"]), ({"A": "b"}, "/folder"))
        self.assertEqual(self.process.written, b"")
        self.assign()
        self.assertEqual(self.process.written, ROLE.to_line())
        self.assertEqual((self.child.number, self.child.pid), (2, 1))

    def test_ready(self) -> None:
        self.assign()
        self.process.write(NEWS, b"rea")
        self.assertEqual(self.calls, [])
        self.process.write(NEWS, b"dy\n")
        self.assertEqual(self.calls, ["ready"])

    def test_orders(self) -> None:
        self.assign()
        self.child.report()
        self.child.stop()
        self.child.skip_drain()
        self.child.kill()
        self.assertEqual(self.process.written, ROLE.to_line() + b"report\nstop\nskip\n")
        self.assertEqual(self.process.signals, ["KILL"])

    def test_call(self) -> None:
        """An admin method, at the socket of its role."""
        called: list[object] = []

        class Client:
            def __init__(self, reactor: object, path: str) -> None:
                called.extend([reactor, path])

            def call(self, *arguments: object, timeout: float) -> None:
                called.extend([*arguments, timeout])

        self.patch(child_process, "AdminClient", Client)
        self.child.assign(Role(2, "g", socket="/s"), lambda: None, lambda ended: None)
        self.child.call("overview", {"a": 1}, 2.0)
        self.assertEqual(called, [self.reactor, "/s", "overview", {"a": 1}, 2.0])

    def test_discard(self) -> None:
        """Without a role, it ends when standard input closes."""
        self.child.discard()
        self.child.discard()
        self.assertTrue(self.process.stdin_closed)

    def test_end(self) -> None:
        """How it ended is told once, and nothing is sent to it any more."""
        self.assign()
        self.assertTrue(self.child.running)
        self.process.exit(None, signal.SIGKILL)
        self.assertFalse(self.child.running)
        self.process.end()
        self.reactor.advance(10)
        self.assertEqual(self.calls, [Exit(None, signal.SIGKILL)])
        self.child.stop()
        self.child.kill()
        self.child.discard()
        self.assertEqual((self.process.written, self.process.signals), (ROLE.to_line(), []))

    def test_others_hold_its_pipes(self) -> None:
        """A program that it has started still runs: its end is told nevertheless, soon."""
        self.assign()
        self.process.exit(3)
        self.assertEqual(self.calls, [])
        self.reactor.advance(0.2)
        self.assertEqual(self.calls, [Exit(3)])
        self.process.end()
        self.assertEqual(self.calls, [Exit(3)])

    def test_ends_without_a_role(self) -> None:
        self.process.exit(0)
        self.process.end()
        self.assertFalse(self.child.running)

    def test_log(self) -> None:
        """Its log becomes ours."""
        self.assign()
        self.process.write(NEWS, event_line({"log_format": "hello {who}", "who": "you", "log_time": 1.0}))
        self.assertEqual(self.log.lines(), ["process 2: hello you"])

    def test_no_event(self) -> None:
        self.assign()
        self.process.write(NEWS, b"nonsense\n")
        self.assertEqual(self.log.lines("warn"), ["Process 2 has sent a line that is no event of a log"])

    def test_output(self) -> None:
        """What it writes itself is logged line by line, without its escape sequences."""
        self.assign()
        self.process.write(1, b"one\ntw")
        self.process.write(2, b"\x1b[31mbad\xff\r\n")
        self.process.write(1, b"o\nlast")
        self.process.exit(0)
        levels = [(event["log_namespace"], event["log_level"].name) for event in self.log.events]
        self.assertEqual(levels, [("stdout", "info"), ("stderr", "error"), ("stdout", "info"), ("stdout", "info")])
        self.assertEqual(
            self.log.lines(),
            ["process 2: one", "process 2: \\x1b[31mbad\\xff", "process 2: two", "process 2: last"],
        )

    def test_long_line(self) -> None:
        """It is cut, so that it does not fill the memory."""
        self.assign()
        for _ in range(3):
            self.process.write(1, b"x" * MAX_LINE)
        self.assertEqual(len(self.log.lines()), 1)
        self.assertLess(max(map(len, self.log.lines())), 10_000)
