"""natsroute.daemon.processes.child_program; tests.integration.test_processes runs it"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.processes import child_program
from natsroute.daemon.processes.child_program import MARGIN, run
from natsroute.daemon.processes.role import Role
from tests.support import ROOT
from tests.support.waiting import TIMEOUT


class Service:
    """A service that keeps what is called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.settings = Settings(drain_timeout=3.0, hook_timeout=4.0)
        self.is_ready: Deferred[None] = Deferred()

    def startService(self) -> None:
        self.calls.append("start")

    def stopService(self) -> None:
        self.calls.append("stop")

    def ready(self) -> Deferred[None]:
        return self.is_ready

    def skip_drain(self) -> None:
        self.calls.append("skip")

    def log_report(self) -> None:
        self.calls.append("report")


class News:
    """What is sent to the parent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.send = self.sent.append
        self.use = self.sent.append

    def begin(self) -> None:
        self.sent.append(b"begin")


class Lifeline:
    """What the lifeline is given."""

    parent_is_gone = False

    def __init__(self, reactor: object, on_skip_drain: Any, on_report: Any, timeout: float, lines: Any) -> None:
        self.timeout = timeout
        on_skip_drain()
        on_report()

    def start(self) -> None:
        raise AssertionError


class Orders:
    """What the parent sends."""

    def __init__(self, lines: Callable[[], bytes]) -> None:
        self.next = lines

    def start(self) -> None:
        """Nobody reads."""

    def loaded(self) -> None:
        """Nothing."""


class RunTests(SynchronousTestCase):
    """A process that has its role."""

    def setUp(self) -> None:
        self.service, self.news, self.reactor = Service(), News(), MemoryReactorClock()
        self.timeouts: list[float] = []
        self.patch(child_program, "child_service", self.load)
        self.patch(child_program, "_reactor", lambda module: self.reactor)
        self.patch(sys, "path", ["/own"])
        self.patch(os, "chdir", lambda folder: self.service.calls.append(f"chdir {folder}"))
        tests = self

        class Recorded(Lifeline):
            def start(self) -> None:
                tests.timeouts.append(self.timeout)

        self.patch(child_program, "Lifeline", Recorded)

        class RecordedOrders(Orders):
            def start(self) -> None:
                tests.service.calls.append("read orders")

            def loaded(self) -> None:
                tests.service.calls.append("loaded")

        self.patch(child_program, "Orders", RecordedOrders)

    def load(self, role: Role, use_levels: object) -> Service:
        self.service.calls.append("load")
        return self.service

    def run_(self, **role: Any) -> None:
        run(Role(1, "g", folder="/f", python_path=["/p"], **role), self.news, lambda: b"")  # type: ignore[arg-type]

    def test_run(self) -> None:
        """The service runs in the parent's folder, and stops with the reactor."""
        self.run_()
        self.assertEqual(self.service.calls, ["read orders", "load", "chdir /f", "loaded", "start", "skip", "report"])
        self.assertEqual(self.timeouts, [3.0 + 4.0 + MARGIN])
        self.assertEqual(sys.path, ["/p", "/own"])
        self.assertTrue(self.reactor.hasRun)
        for function, *_ in self.reactor.triggers["before"]["shutdown"]:
            function()
        self.assertEqual(self.service.calls[-1], "stop")

    def test_ready(self) -> None:
        """The parent is told when the service is ready, and not if it fails."""
        self.run_()
        self.assertEqual(self.news.sent, [b"begin"])
        self.service.is_ready.callback(None)
        self.assertEqual(self.news.sent, [b"begin", b"ready\n"])
        self.service.is_ready = Deferred()
        self.run_()
        self.service.is_ready.errback(ValueError("the start failed, which is logged by then"))
        self.assertEqual(self.news.sent, [b"begin", b"ready\n", b"begin"])

    def test_folder(self) -> None:
        """When the parent has died, the last process removes the folder of the sockets."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.run_(socket=str(folder / "1-1.sock"))
        self.assertTrue(folder.exists())
        self.patch(Lifeline, "parent_is_gone", True)
        other = folder / "2-2.sock"
        other.touch()
        self.run_(socket=str(folder / "1-1.sock"))
        self.assertTrue(folder.exists())
        other.unlink()
        self.run_(socket=str(folder / "1-1.sock"))
        self.assertFalse(folder.exists())

    def test_cpu(self) -> None:
        bound: list[object] = []
        self.patch(os, "sched_setaffinity", lambda pid, cpus: bound.append((pid, cpus)))
        self.run_(cpu=3)
        self.assertEqual(bound, [(0, {3})])


class ReactorTests(SynchronousTestCase):
    """The reactor of a process."""

    def test_installed(self) -> None:
        """A process with a reactor keeps it."""
        from twisted.internet import reactor

        self.assertIs(child_program._reactor("no.such.module"), reactor)

    def test_module(self) -> None:
        """Otherwise it is of the same kind as the parent's."""
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            "from natsroute.daemon.processes import child_program as p; "
            "print(type(p._reactor('twisted.internet.selectreactor')).__name__)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
        self.assertEqual(ended.stdout.strip(), "SelectReactor")
