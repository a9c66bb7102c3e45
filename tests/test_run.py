"""natsroute.daemon.processes.run"""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.processes.run import Exit, Patience, Phase, Run
from tests.support.log_recorder import LogRecorder


class MemoryChild:
    """
    A child process that keeps what it is asked for.

    :ivar asked: ``"stop"``, ``"skip"``, ``"report"`` and ``"kill"``, in order.
    """

    def __init__(self, pid: int, on_ready: Callable[[], None], on_ended: Callable[[Exit], None]) -> None:
        self.pid = pid
        self.asked: list[str] = []
        self.is_ready = on_ready
        self._on_ended = on_ended

    def end(self, code: int | None = 0, number: int | None = None) -> None:
        """It ends."""
        self._on_ended(Exit(code, number))

    def stop(self) -> None:
        self.asked.append("stop")

    def skip_drain(self) -> None:
        self.asked.append("skip")

    def report(self) -> None:
        self.asked.append("report")

    def kill(self) -> None:
        self.asked.append("kill")

    def call(self, method: str, params: Mapping[str, Any], timeout: float) -> Deferred[Any]:
        raise AssertionError


class RunTests(SynchronousTestCase):
    """One run of a child process."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ready: list[bool] = []
        self.log = LogRecorder(self)
        self.run_ = Run(self.clock, 3, self.spawn, Patience(40.0, 10.0), lambda: self.ready.append(True))

    def spawn(self, on_ready: Callable[[], None], on_ended: Callable[[Exit], None]) -> MemoryChild:
        self.child = MemoryChild(77, on_ready, on_ended)
        return self.child

    def test_ready(self) -> None:
        """It is ready, once, and then it ends."""
        started = self.run_.started(5.0)
        self.clock.advance(4.9)
        self.assertNoResult(started)
        self.assertIs(self.run_.phase, Phase.STARTING)
        self.child.is_ready()
        self.assertIs(self.successResultOf(started), True)
        self.assertIs(self.successResultOf(self.run_.started(5.0)), True)
        self.assertEqual((self.run_.phase, self.run_.pid, self.ready), (Phase.READY, 77, [True]))
        ended = self.run_.ended()
        self.assertNoResult(ended)
        self.child.end(None, signal.SIGKILL)
        self.assertEqual(self.successResultOf(ended), Exit(None, signal.SIGKILL))
        self.assertEqual(self.successResultOf(self.run_.ended()), Exit(None, signal.SIGKILL))
        self.assertEqual((self.run_.phase, self.run_.was_ready), (Phase.ENDED, True))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_ready_in_time(self) -> None:
        started = self.run_.started(5.0)
        self.clock.advance(5.0)
        self.assertIs(self.successResultOf(started), False)
        self.assertIs(self.run_.phase, Phase.STARTING)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ends_before_it_is_ready(self) -> None:
        started = self.run_.started(5.0)
        self.child.end(1)
        self.assertIs(self.successResultOf(started), False)
        self.assertIs(self.successResultOf(self.run_.started(5.0)), False)
        self.assertFalse(self.run_.was_ready)

    def test_stopped_before_it_is_ready(self) -> None:
        """It does not become ready any more."""
        started = self.run_.started(5.0)
        self.run_.stop()
        self.assertIs(self.successResultOf(started), False)
        self.child.is_ready()
        self.assertEqual((self.run_.phase, self.ready), (Phase.STOPPING, []))
        self.child.end()

    def test_stop(self) -> None:
        """It is asked once, and is not killed if it ends in time."""
        self.child.is_ready()
        self.run_.stop()
        self.run_.stop()
        self.clock.advance(39.9)
        self.child.end()
        self.clock.advance(100)
        self.assertEqual(self.child.asked, ["stop"])

    def test_ignores_the_stop(self) -> None:
        """It is killed, and the log says so."""
        self.child.is_ready()
        self.run_.stop()
        self.clock.advance(40.0)
        self.assertEqual(self.child.asked, ["stop", "kill"])
        self.assertEqual(self.log.lines("error"), ["Process 3 (pid 77) has not stopped within 40.0 s, and is killed"])

    def test_skip_drain(self) -> None:
        """It has less time then. Without a stop, nothing is skipped."""
        self.child.is_ready()
        self.run_.skip_drain()
        self.assertEqual(self.child.asked, [])
        self.run_.stop()
        self.clock.advance(30.0)
        self.run_.skip_drain()
        self.run_.skip_drain()
        self.clock.advance(9.9)
        self.assertEqual(self.child.asked, ["stop", "skip"])
        self.clock.advance(0.2)
        self.assertEqual(self.child.asked, ["stop", "skip", "kill"])

    def test_cannot_be_started(self) -> None:
        """The system has no process left: the run has ended."""

        def spawn(on_ready: object, on_ended: object) -> MemoryChild:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        run = Run(self.clock, 1, spawn, Patience(1.0, 1.0), lambda: None)
        self.assertEqual((run.phase, run.pid), (Phase.ENDED, 0))
        self.assertEqual(str(run.exit), "it cannot be started: Resource temporarily unavailable")
        run.stop()
        run.skip_drain()
        self.assertIs(self.successResultOf(run.started(1.0)), False)
        self.assertEqual(self.successResultOf(run.ended()), run.exit)


class ExitTests(SynchronousTestCase):
    """How an end is shown."""

    def test_text(self) -> None:
        for end, text in [
            (Exit(0), "exit code 0"),
            (Exit(1), "exit code 1"),
            (Exit(None, signal.SIGSEGV), "SIGSEGV"),
            (Exit(None, 250), "signal 250"),
        ]:
            self.assertEqual(str(end), text)
