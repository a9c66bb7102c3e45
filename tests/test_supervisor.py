"""natsroute.daemon.processes.supervisor"""

from __future__ import annotations

import signal
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.processes.run import Exit, Patience, Spawn
from natsroute.daemon.processes.supervisor import STABLE, STABLE_IF_NEVER_READY, Supervisor
from natsroute.errors import ReloadError
from tests.support.log_recorder import LogRecorder
from tests.test_run import MemoryChild


class SupervisorTestCase(SynchronousTestCase):
    """
    Two processes, unless a test says otherwise.

    :ivar children: all processes so far, with their numbers and whether they read all code anew.
    """

    count = 2

    def setUp(self) -> None:
        self.clock = Clock()
        self.log = LogRecorder(self)
        self.children: list[tuple[int, bool, MemoryChild]] = []
        self.ready: list[float] = []
        self.failed: list[str] = []
        self.refuses = False
        self.supervisor = Supervisor(
            self.clock,
            self.count,
            self.spawn,
            Patience(40.0, 10.0),
            30.0,
            on_ready=lambda: self.ready.append(self.clock.seconds()),
            on_failed=self.failed.append,
        )

    def spawn(self, number: int, fresh: bool) -> Spawn:
        def start(on_ready: Callable[[], None], on_ended: Callable[[Exit], None]) -> MemoryChild:
            if self.refuses:
                raise OSError(12, "Cannot allocate memory")
            child = MemoryChild(len(self.children) + 100, on_ready, on_ended)
            self.children.append((number, fresh, child))
            return child

        return start

    @property
    def newest(self) -> MemoryChild:
        return self.children[-1][2]

    def child(self, index: int) -> MemoryChild:
        return self.children[index][2]

    def start(self) -> None:
        """All are ready."""
        self.supervisor.start()
        for _, _, child in self.children:
            child.is_ready()

    def numbers(self) -> list[int]:
        """The numbers of all processes so far, in the order of their starts."""
        return [number for number, _, _ in self.children]


class StartTests(SupervisorTestCase):
    """Processes start, and die."""

    def test_start(self) -> None:
        """All start together; when all are ready, the owner is told."""
        self.supervisor.start()
        self.assertEqual(self.numbers(), [1, 2])
        self.child(1).is_ready()
        self.assertEqual((self.ready, self.supervisor.is_ready), ([], False))
        self.child(0).is_ready()
        self.assertEqual((self.ready, self.supervisor.is_ready), ([0.0], True))
        self.assertEqual([run.pid for run in self.supervisor.current if run], [100, 101])

    def test_ready(self) -> None:
        """Whoever waits is told, and at once if all are ready."""
        waiting, cancelled = self.supervisor.ready(), self.supervisor.ready()
        cancelled.addErrback(lambda failure: None).cancel()
        self.start()
        self.successResultOf(waiting)
        self.successResultOf(self.supervisor.ready())

    def test_stopped_before_they_are_ready(self) -> None:
        waiting = self.supervisor.ready()
        self.supervisor.start()
        self.supervisor.stop()
        self.failureResultOf(waiting, CancelledError)

    def test_a_death(self) -> None:
        """A process that dies is started again at once. The log says how it ended."""
        self.start()
        self.clock.advance(60)
        self.child(1).end(None, signal.SIGKILL)
        self.assertFalse(self.supervisor.is_ready)
        self.clock.advance(0)
        self.assertEqual(self.numbers(), [1, 2, 2])
        self.assertEqual(
            self.log.lines("error"),
            ["Process 2 (pid 101) ended by itself after 60.0 s (SIGKILL): it is started again"],
        )
        self.newest.is_ready()
        self.assertEqual(self.ready, [0.0, 60.0])

    def test_dies_again_and_again(self) -> None:
        """At once, then after 1, 2, 4 seconds, and so on up to 30; with one line each."""
        self.start()
        waits = []
        for _ in range(8):
            before, starts = self.clock.seconds(), len(self.children)
            self.newest.end(3)
            while len(self.children) == starts:
                self.clock.advance(0.0 if self.clock.seconds() == before and not waits else 0.5)
            waits.append(self.clock.seconds() - before)
        self.assertEqual(waits, [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0])
        self.assertEqual(len(self.log.lines("error")), 8)
        self.assertIn("ended by itself after 0.0 s (exit code 3): it is started again in 30 s", self.log.lines()[-1])

    def test_stable(self) -> None:
        """After a while its next death is a first one."""
        self.start()
        for _ in range(3):
            self.newest.end(3)
            self.clock.advance(8)
        self.newest.is_ready()
        self.clock.advance(STABLE)
        starts = len(self.children)
        self.newest.end(3)
        self.clock.advance(0)
        self.assertEqual(len(self.children), starts + 1)

    def test_never_ready(self) -> None:
        """One that takes longer than usual to die while it loads its code is not stable."""
        self.start()
        self.newest.end(3)
        self.clock.advance(0)
        for wait in (1, 2):
            self.clock.advance(STABLE_IF_NEVER_READY - 0.1)
            starts = len(self.children)
            self.newest.end(3)
            self.clock.advance(wait - 0.1)
            self.assertEqual(len(self.children), starts)
            self.clock.advance(0.1)
            self.assertEqual(len(self.children), starts + 1)
        self.clock.advance(STABLE_IF_NEVER_READY)
        self.newest.end(3)
        self.clock.advance(0)
        self.assertEqual(len(self.children), starts + 2)

    def test_cannot_start(self) -> None:
        """Exit code 1 before all were ready: the settings cannot work, and the owner is told."""
        self.supervisor.start()
        self.child(1).is_ready()
        self.child(0).end(1)
        self.assertEqual(self.failed, ["process 1 cannot start (exit code 1)"])
        self.clock.advance(100)
        self.assertEqual(self.numbers(), [1, 2])

    def test_dies_otherwise_at_the_first_start(self) -> None:
        """A signal, another exit code, or exit code 1 after it was ready: it is started again."""
        self.supervisor.start()
        self.child(0).end(None, signal.SIGSEGV)
        self.clock.advance(0)
        self.newest.is_ready()
        self.newest.end(1)
        self.clock.advance(1)
        self.assertEqual((self.numbers(), self.failed), ([1, 2, 1, 1], []))

    def test_exit_code_1_later(self) -> None:
        """Once all have been ready, the service goes on: a file may be missing for a moment."""
        self.start()
        self.child(0).end(None, signal.SIGKILL)
        self.clock.advance(0)
        self.newest.end(1)
        self.clock.advance(1)
        self.assertEqual((self.numbers(), self.failed), ([1, 2, 1, 1], []))

    def test_no_process_left(self) -> None:
        """The system starts none: natsroute tries again, as after a death."""
        self.refuses = True
        self.supervisor.start()
        self.clock.advance(0)
        self.assertEqual(self.children, [])
        self.assertIn(
            "Process 1 (pid 0) ended by itself after 0.0 s (it cannot be started: Cannot", self.log.lines()[0]
        )
        self.refuses = False
        self.clock.advance(1)
        self.assertEqual(sorted(self.numbers()), [1, 2])


class StopTests(SupervisorTestCase):
    """The end of all processes."""

    def test_stop(self) -> None:
        """All are asked together; it is over when the last one has ended. None is started again."""
        self.start()
        stopped = self.supervisor.stop()
        self.assertEqual([child.asked for _, _, child in self.children], [["stop"], ["stop"]])
        self.child(0).end()
        self.assertNoResult(stopped)
        self.child(1).end(None, signal.SIGTERM)
        self.successResultOf(stopped)
        self.clock.advance(100)
        self.assertEqual((self.numbers(), self.log.lines("error")), ([1, 2], []))

    def test_skip_drain(self) -> None:
        self.start()
        self.supervisor.stop()
        self.supervisor.skip_drain()
        self.assertEqual(self.child(1).asked, ["stop", "skip"])

    def test_kill(self) -> None:
        """Whatever they do, and whether one of them has ended already."""
        self.start()
        self.supervisor.stop()
        self.child(0).end()
        self.supervisor.kill()
        self.assertEqual([child.asked for _, _, child in self.children], [["stop"], ["stop", "kill"]])

    def test_a_process_that_waits(self) -> None:
        """It is not started any more."""
        self.start()
        self.child(1).end(3)
        self.clock.advance(0)
        self.newest.end(3)
        stopped = self.supervisor.stop()
        self.child(0).end()
        self.successResultOf(stopped)
        self.clock.advance(100)
        self.assertEqual(self.numbers(), [1, 2, 2])

    def test_report(self) -> None:
        """Each process that has been ready logs one."""
        self.supervisor.start()
        self.child(0).is_ready()
        self.supervisor.report()
        self.assertEqual([child.asked for _, _, child in self.children], [["report"], []])


class ReloadTests(SupervisorTestCase):
    """The processes are replaced one after another."""

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.reload = self.supervisor.reload()

    def failure(self, reload: Deferred[None]) -> str:
        """Why a reload has failed."""
        return str(self.failureResultOf(reload, ReloadError).value)

    def test_all(self) -> None:
        """The old process is drained once the new one is ready; the next one follows when the old one has ended."""
        self.assertEqual(self.numbers(), [1, 2, 1])
        self.assertEqual(self.child(0).asked, [])
        self.newest.is_ready()
        self.assertEqual(self.child(0).asked, ["stop"])
        self.assertEqual(self.numbers(), [1, 2, 1])
        self.child(0).end()
        self.assertEqual(self.numbers(), [1, 2, 1, 2])
        self.newest.is_ready()
        self.assertNoResult(self.reload)
        self.child(1).end()
        self.successResultOf(self.reload)
        self.assertEqual([fresh for _, fresh, _ in self.children], [False, False, True, True])
        self.assertEqual([run.pid for run in self.supervisor.runs], [102, 103])
        self.assertTrue(self.supervisor.is_ready)
        self.assertFalse(self.supervisor.reloading)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_new_one_dies(self) -> None:
        """The old one stays, and the others are not touched."""
        self.newest.end(1)
        self.assertEqual(
            self.failure(self.reload),
            "process 1 was not replaced: its replacement ended before it was ready: exit code 1. "
            "See its lines in the log",
        )
        self.assertIn("The reload has failed: process 1 was not replaced", self.log.lines("error")[0])
        self.clock.advance(100)
        self.assertEqual((self.numbers(), self.failed), ([1, 2, 1], []))
        self.assertEqual([child.asked for _, _, child in self.children], [[], [], []])
        self.assertTrue(self.supervisor.is_ready)

    def test_new_one_is_not_ready_in_time(self) -> None:
        """It is stopped, and killed if it does not stop."""
        self.clock.advance(30)
        self.assertEqual(
            self.failure(self.reload),
            "process 1 was not replaced: its replacement was not ready within 30 s. See its lines in the log",
        )
        self.assertEqual((self.newest.asked, self.child(0).asked), (["stop"], []))
        self.clock.advance(40)
        self.assertEqual(self.newest.asked, ["stop", "kill"])
        self.newest.end(None, signal.SIGKILL)
        self.assertEqual([run.pid for run in self.supervisor.runs], [100, 101])

    def test_new_one_cannot_be_started(self) -> None:
        self.newest.end(1)
        self.failure(self.reload)
        self.refuses = True
        self.assertIn("it cannot be started: Cannot allocate memory", self.failure(self.supervisor.reload()))
        self.assertTrue(self.supervisor.is_ready)

    def test_old_one_dies_meanwhile(self) -> None:
        """Its replacement takes its place; no third process is started."""
        self.child(0).end(None, signal.SIGKILL)
        self.clock.advance(1)
        self.assertEqual(self.numbers(), [1, 2, 1])
        self.assertIn("its replacement is starting already", self.log.lines("error")[0])
        self.newest.is_ready()
        self.assertEqual(self.numbers(), [1, 2, 1, 2])
        self.assertTrue(self.supervisor.is_ready)

    def test_old_one_and_new_one_die(self) -> None:
        """The process is started again as after any death."""
        self.child(0).end(None, signal.SIGKILL)
        self.newest.end(None, signal.SIGKILL)
        self.failure(self.reload)
        self.clock.advance(0)
        self.assertEqual(self.numbers(), [1, 2, 1, 1])

    def test_new_one_dies_after_it_was_ready(self) -> None:
        """It is started again, during the reload too."""
        self.newest.is_ready()
        self.newest.end(3)
        self.clock.advance(0)
        self.assertEqual(self.numbers(), [1, 2, 1, 1])
        self.child(0).end()
        self.assertEqual(self.numbers(), [1, 2, 1, 1, 2])

    def test_old_one_ignores_the_stop(self) -> None:
        """It is killed, and the reload goes on."""
        self.newest.is_ready()
        self.clock.advance(40)
        self.assertEqual(self.child(0).asked, ["stop", "kill"])
        self.child(0).end(None, signal.SIGKILL)
        self.assertEqual(self.numbers(), [1, 2, 1, 2])

    def test_reload_during_a_reload(self) -> None:
        """All further ones together are one, which follows."""
        more = [self.supervisor.reload(), self.supervisor.reload()]
        for old in range(2):
            self.newest.is_ready()
            self.child(old).end()
        self.successResultOf(self.reload)
        self.assertEqual(self.numbers(), [1, 2, 1, 2, 1])
        for old in range(2, 4):
            self.assertNoResult(more[0])
            self.newest.is_ready()
            self.child(old).end()
        for one in more:
            self.successResultOf(one)
        self.assertEqual(self.numbers(), [1, 2, 1, 2, 1, 2])

    def test_count(self) -> None:
        """What counts is how often the processes were replaced, not how often that was asked for."""
        self.assertEqual(self.supervisor.reloads, 0)
        for _ in range(10):
            self.supervisor.reload()
        for old in range(4):
            self.newest.is_ready()
            self.child(old).end()
        self.assertEqual(self.supervisor.reloads, 2)
        self.supervisor.reload().addErrback(lambda failure: None)
        self.newest.end(1)
        self.assertEqual(self.supervisor.reloads, 2)

    def test_around(self) -> None:
        """Each reload that runs is announced: one ends before the next one begins."""
        noted: list[str] = []

        def around(reload: Callable[[], Deferred[None]]) -> Deferred[None]:
            noted.append("begin")
            return reload().addBoth(lambda result: [noted.append("end"), result][1])

        self.supervisor.around = around
        for _ in range(3):
            self.supervisor.reload()
        for old in range(4):
            self.newest.is_ready()
            self.child(old).end()
        self.assertEqual(noted, ["begin", "end"])
        for _ in range(3):
            self.supervisor.reload().addErrback(lambda failure: None)
        self.newest.end(1)
        self.newest.end(1)
        self.assertEqual(noted, ["begin", "end"] * 3)

    def test_reload_after_one_that_fails(self) -> None:
        """The next one is tried nevertheless, and its callers get its own error."""
        more = self.supervisor.reload()
        self.newest.end(1)
        self.failure(self.reload)
        self.newest.end(4)
        self.assertIn("exit code 4", self.failure(more))

    def test_stop_during_a_reload(self) -> None:
        """All processes are stopped, the new one too."""
        more = self.supervisor.reload()
        stopped = self.supervisor.stop()
        self.assertEqual(self.failure(self.reload), "the service is stopping")
        self.assertEqual(self.failure(more), "the service is stopping")
        self.assertEqual(self.failure(self.supervisor.reload()), "the service is stopping")
        for _, _, child in self.children:
            self.assertEqual(child.asked, ["stop"])
            self.assertNoResult(stopped)
            child.end()
        self.successResultOf(stopped)
        self.clock.advance(100)
        self.assertEqual(self.numbers(), [1, 2, 1])

    def test_process_that_waits_to_be_started_again(self) -> None:
        """The reload starts it at once."""
        self.newest.end(1)
        self.failure(self.reload)
        self.child(1).end(3)
        self.clock.advance(0)
        self.newest.end(3)
        reload = self.supervisor.reload()
        self.newest.is_ready()
        self.child(0).end()
        self.assertEqual(self.numbers(), [1, 2, 1, 2, 1, 2])
        self.newest.is_ready()
        self.successResultOf(reload)
        self.clock.advance(100)
        self.assertEqual(self.numbers(), [1, 2, 1, 2, 1, 2])
