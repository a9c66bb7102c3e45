"""natsroute.daemon.processes.parent_service; tests.integration.test_processes starts real processes"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.admin.errors import MethodError
from natsroute.daemon.exit_code import ExitCode
from natsroute.daemon.operations.operations import Operations
from natsroute.daemon.operations.process_log import ProcessLog
from natsroute.daemon.processes.aggregation import Aggregation
from natsroute.daemon.processes.parent_service import ParentService
from natsroute.daemon.processes.role import Role
from natsroute.errors import ReloadError, SettingError
from tests.support.log_recorder import LogRecorder
from tests.support.memory_process import MemoryProcess, MemoryProcessReactor
from tests.test_nats_server import LOG


class Reactor(MemoryProcessReactor, MemoryReactorClock):  # type: ignore[misc]
    """Starts processes in memory, and can be stopped."""

    def __init__(self) -> None:
        MemoryReactorClock.__init__(self)
        self.processes = []
        self.refuses = False

    def callFromThread(self, function: Callable[[], object]) -> None:
        function()


class ParentServiceTests(SynchronousTestCase):
    """A parent on a reactor in memory."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.reactor = Reactor()

    def parent(self, *, ready: bool = True, **settings: Any) -> ParentService:
        """A parent of two processes."""
        whole = Settings(**{"processes": 2, "subject_queue_group": ["a:q"], "admin_socket": "off", **settings})
        service = self.new_parent(whole, "--a")
        service.startService()
        self.addCleanup(self.end_all)
        self.addCleanup(service.stopService)
        if ready:
            self.make_ready()
        return service

    def new_parent(self, settings: Settings, *arguments: str, process_log: ProcessLog | None = None) -> ParentService:
        """A parent that does not end the process of the tests."""
        return ParentService(
            settings,
            arguments,
            os.getcwd(),
            reactor=self.reactor,
            environment={},
            process_log=process_log,
            exit_code=ExitCode(self.reactor, register=lambda function: None),
        )

    def make_ready(self) -> None:
        for process in self.workers:
            process.write(3, b"ready\n")

    def end_all(self) -> None:
        for process in self.reactor.processes:
            if not process._ended:
                process.exit()
                process.end()

    @property
    def workers(self) -> list[MemoryProcess]:
        """The processes that have a role and have not ended."""
        return [process for process in self.reactor.processes if process.written and not process._ended]

    def test_start(self) -> None:
        """All processes get their roles; when they are ready, a spare waits."""
        self.parent()
        self.assertEqual([Role.from_line(process.written).number for process in self.workers], [1, 2])
        self.assertEqual(len(self.reactor.processes), 3)
        self.assertRegex(self.log.lines()[0], r"^natsroute \S+: 2 processes$")

    def test_many(self) -> None:
        """More processes than processors are allowed, with a warning."""
        self.patch(os, "cpu_count", lambda: 1)
        self.parent()
        self.assertEqual(self.log.lines("warn"), ["2 processes are more than the 1 processors of this machine"])

    def test_stop(self) -> None:
        """It is over when all processes have ended."""
        service = self.parent()
        stopped = service.stopService()
        for process in self.workers:
            self.assertTrue(process.written.endswith(b"\nstop\n"))
            self.assertNoResult(stopped)
            process.exit()
            process.end()
        self.successResultOf(stopped)
        self.assertTrue(self.reactor.processes[2].stdin_closed)  # the spare

    def test_timeouts(self) -> None:
        """A process has the time that the settings give it, and some more. Then it is killed."""
        service = self.parent(drain_timeout=20.0, hook_timeout=7.0)
        service.stopService()
        self.reactor.advance(36)
        self.assertEqual([process.signals for process in self.workers], [[], []])
        self.reactor.advance(1)
        self.assertEqual([process.signals for process in self.workers], [["KILL"], ["KILL"]])

    def test_signals(self) -> None:
        """SIGUSR2 is passed on; SIGHUP replaces the processes; a second SIGTERM skips the drain."""
        before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)}
        for number, handler in before.items():
            self.addCleanup(signal.signal, number, handler)
            signal.signal(number, signal.SIG_DFL)
        service = self.parent()
        signal.getsignal(signal.SIGUSR2)(signal.SIGUSR2, None)
        for process in self.workers:
            self.assertTrue(process.written.endswith(b"\nreport\n"))
        signal.getsignal(signal.SIGHUP)(signal.SIGHUP, None)
        self.assertTrue(service.supervisor.reloading)
        service.stopService()
        service._stop_signals._on_skip_drain()
        for process in self.workers:
            self.assertTrue(process.written.endswith(b"\nstop\nskip\n"))

    def test_reload(self) -> None:
        """The spare has old code: it ends, and there is a new one afterwards."""
        service = self.parent()
        spare = self.reactor.processes[2]
        reload = service.reload()
        self.assertTrue(spare.stdin_closed)
        spare.exit()
        for old in range(2):
            self.reactor.processes[-1].write(3, b"ready\n")
            self.reactor.processes[old].exit()
            self.reactor.processes[old].end()
        self.successResultOf(reload)
        self.assertEqual(len(self.reactor.processes), 6)
        self.assertEqual(self.reactor.processes[-1].written, b"")

    def test_reload_that_fails(self) -> None:
        """The caller learns the reason. There is a new spare then, too."""
        service = self.parent()
        reload = service.reload()
        self.reactor.processes[-1].exit(1)
        self.reactor.processes[-1].end()
        self.failureResultOf(reload, ReloadError)
        self.assertEqual(self.reactor.processes[-1].written, b"")

    def test_methods(self) -> None:
        """The admin methods are those of a service; a reload replaces the processes."""
        methods = self.parent()._operations.methods
        self.assertLessEqual({"overview", "ready", "metrics", "reload", "log_level", "stop"}, set(methods.names))
        methods.call("reload", {}).addErrback(lambda failure: None)
        self.assertEqual(len(self.workers), 3)

    def test_log_level(self) -> None:
        """The rules are those of the parent, of its processes, and of those that start later."""
        settings = Settings(processes=2, admin_socket="off", log_level=["warn"])
        log = ProcessLog(settings, {})
        asked: list[Sequence[str]] = []

        async def log_level(aggregation: Aggregation, rules: Sequence[str]) -> None:
            asked.append(rules)

        self.patch(Aggregation, "log_level", log_level)
        service = self.new_parent(settings, process_log=log)
        service.startService()
        self.addCleanup(self.end_all)
        self.addCleanup(service.stopService)
        call = service._operations.methods.call
        self.assertEqual(self.successResultOf(call("log_level", {})), {"rules": ["warn"]})
        self.assertEqual(
            self.successResultOf(call("log_level", {"rules": ["a=debug"]})), {"rules": ["warn", "a=debug"]}
        )
        self.assertEqual(asked, [[], ["a=debug"]])
        self.failureResultOf(call("log_level", {"rules": ["x"]}), MethodError)
        self.failureResultOf(call("log_level", {"rules": [1]}), MethodError)
        self.workers[0].exit(None, 9)
        self.reactor.advance(1)
        self.assertEqual(Role.from_line(self.workers[-1].written).log_level, ("warn", "a=debug"))

    def test_log_of_a_program(self) -> None:
        """Its levels are not ours."""
        called = self.parent()._operations.methods.call("log_level", {})
        self.assertIn("not natsroute's", str(self.failureResultOf(called, MethodError).value))

    def test_port_in_use(self) -> None:
        """Nothing starts, and the exit code is 1."""

        def start(operations: Operations) -> None:
            raise SettingError("http_listen", "1", "it is in use", "Give another one")

        self.patch(Operations, "startService", start)
        service = self.parent(ready=False)
        self.assertEqual((self.reactor.processes, service._exit_code._code), ([], 1))
        self.assertIn("natsroute cannot start: http_listen = '1': it is in use", self.log.lines("error")[0])

    def test_setting_that_cannot_work(self) -> None:
        """The process ends with exit code 1, as one without children does."""
        service = self.parent(ready=False)
        self.workers[0].exit(1)
        self.reactor.advance(1)
        self.assertEqual(service._exit_code._code, 1)

    def test_embedded_server(self) -> None:
        """It runs in the parent; the processes start when it listens, and it stops after them."""
        service = self.parent(embedded_server=True, ready=False)
        server = self.reactor.processes[0]
        self.assertEqual(len(self.reactor.processes), 1)
        server.write_error(LOG)
        servers = {Role.from_line(process.written).server for process in self.workers}
        self.assertEqual(servers, {"nats://127.0.0.1:40000"})
        self.make_ready()
        stopped = service.stopService()
        self.assertFalse(server.stdin_closed)
        for process in self.workers:
            process.exit()
            process.end()
        self.assertTrue(server.stdin_closed)
        self.assertNoResult(stopped)
        server.end()
        self.successResultOf(stopped)

    def test_embedded_server_that_fails(self) -> None:
        service = self.parent(embedded_server=True, ready=False)
        self.reactor.processes[0].end(1)
        self.assertEqual(service._exit_code._code, 1)
        self.assertIn("The embedded server did not start", self.log.lines("error")[0])

    def test_stopped_before_the_embedded_server_listens(self) -> None:
        service = self.parent(embedded_server=True, ready=False)
        stopped = service.stopService()
        self.reactor.processes[0].end()
        self.successResultOf(stopped)
        self.assertEqual((len(self.reactor.processes), service._exit_code._code), (1, 0))
