"""natsroute.daemon.threads, with a clock of the test; tests.integration.test_threads has a real reactor"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from queue import Queue
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.threads import Threads
from tests.support.garbage import left_in_cycles
from tests.support.log_recorder import LogRecorder
from tests.support.waiting import TIMEOUT


@contextmanager
def monkey(owner: object, name: str, value: object) -> Iterator[None]:
    """Replace an attribute inside the block."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


class MemoryReactor(Clock):
    """Calls from threads wait until the test makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: Queue[Callable[[], object]] = Queue()

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        self.from_threads.put(lambda: function(*arguments))

    def run_until(self, deferred: Deferred[object]) -> None:
        """Make calls from threads until the Deferred has fired."""
        while not deferred.called:
            self.from_threads.get(timeout=TIMEOUT)()


class ThreadsTestCase(SynchronousTestCase):
    """A pool of one thread, which a test can block."""

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.log = LogRecorder(self)
        self.threads = Threads(self.reactor, "test", 1, patience=5.0)
        self.release = threading.Event()
        self.addCleanup(self.release.set)

    def stop(self) -> None:
        stopped = self.threads.stopService()
        self.reactor.run_until(stopped)
        self.successResultOf(stopped)


class ThreadsTests(ThreadsTestCase):
    """A pool of threads that a stop does not wait for."""

    def test_in_time(self) -> None:
        """The stop waits for the function, and leaves no timer behind."""
        self.threads.startService()
        running = self.threads.run(self.release.wait)
        stopped = self.threads.stopService()
        self.reactor.advance(4.9)
        self.assertNoResult(stopped)
        self.release.set()
        self.reactor.run_until(stopped)
        self.reactor.run_until(running)
        self.assertEqual((self.successResultOf(running), self.reactor.getDelayedCalls()), (True, []))
        self.assertEqual(self.log.lines(), [])

    def test_no_cycles(self) -> None:
        """The error of a function goes when nobody has it, and with it what the function had."""
        self.threads.startService()

        def fail() -> None:
            failed = self.threads.run(int, "x").addErrback(lambda failure: None)
            self.reactor.run_until(failed)

        self.assertEqual(left_in_cycles(fail), [])
        self.stop()

    def test_too_late(self) -> None:
        """After ``patience`` the stop ends without the function; its end changes nothing any more."""
        self.threads.startService()
        running = self.threads.run(self.release.wait)
        stopped = self.threads.stopService()
        self.reactor.advance(5.0)
        self.successResultOf(stopped)
        self.assertEqual(
            self.log.lines(), ["Threads of the pool test that are still blocked: 1. They end with the process"]
        )
        self.release.set()
        self.reactor.run_until(running)
        self.reactor.from_threads.get(timeout=TIMEOUT)()  # the pool has ended, too
        self.assertEqual(len(self.log.lines()), 1)

    def test_no_more_threads(self) -> None:
        """The system starts none, neither for a function nor for the stop, which ends nevertheless."""

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        self.threads.startService()
        with monkey(threading.Thread, "start", refuse):
            self.assertRaises(RuntimeError, self.threads.run, int)
            self.successResultOf(self.threads.stopService())
        self.assertEqual((self.reactor.getDelayedCalls(), self.log.lines()), ([], []))

    def test_a_thread_that_was_not_started(self) -> None:
        """Its function never runs, later ones do, and the stop does not wait for it."""
        ran: list[int] = []

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        self.threads.startService()
        with monkey(threading.Thread, "start", refuse):
            self.assertRaises(RuntimeError, self.threads.run, ran.append, 1)
        running = self.threads.run(ran.append, 2)
        self.reactor.run_until(running)
        self.assertEqual(ran, [2])
        self.stop()
        self.assertEqual((self.reactor.getDelayedCalls(), self.log.lines()), ([], []))

    def test_before_the_start(self) -> None:
        """A function waits until the service runs, the first time and the next."""
        for _ in range(2):
            running = self.threads.run(int, "5")
            self.assertNoResult(running)
            self.threads.startService()
            self.reactor.run_until(running)
            self.assertEqual(self.successResultOf(running), 5)
            self.stop()

    def test_an_exception(self) -> None:
        self.threads.startService()
        running = self.threads.run(int, "x")
        self.reactor.run_until(running)
        self.failureResultOf(running, ValueError)
        self.stop()

    def test_a_context_of_its_own(self) -> None:
        """A copy of the caller's: what a function sets, the next one in that thread does not see."""
        self.threads.startService()
        variable: ContextVar[str] = ContextVar("variable", default="unset")

        def use() -> str:
            before = variable.get()
            variable.set("used")
            return before

        def run() -> None:
            variable.set("of the caller")
            for _ in range(2):
                running = self.threads.run(use)
                self.reactor.run_until(running)
                self.assertEqual(self.successResultOf(running), "of the caller")

        copy_context().run(run)
        self.stop()

    def test_daemon_threads(self) -> None:
        """A blocked one does not keep the process running."""
        self.threads.startService()
        running = self.threads.run(lambda: threading.current_thread().daemon)
        self.reactor.run_until(running)
        self.assertIs(self.successResultOf(running), True)
        self.stop()


class QueueTests(ThreadsTestCase):
    """Functions that wait, because the only thread is blocked."""

    def setUp(self) -> None:
        super().setUp()
        self.threads = Threads(self.reactor, "test", 1, patience=5.0, max_queue=3)
        self.threads.startService()
        self.begun = threading.Event()
        self.ran: list[int] = []
        self.blocker = self.threads.run(self.block)
        self.assertTrue(self.begun.wait(TIMEOUT))

    def block(self) -> None:
        self.begun.set()
        self.release.wait()

    def test_given_up_before_it_began(self) -> None:
        """It does not run later, and leaves nothing in the queue, however often that happens."""
        for number in range(1000):
            given_up = self.threads.run(self.ran.append, number)
            given_up.cancel()
            self.failureResultOf(given_up, CancelledError)
        pool: Any = self.threads._queue.pool
        self.assertLessEqual(pool._team.statistics().backloggedWorkCount, 1)
        last = self.threads.run(self.ran.append, -1)
        self.release.set()
        self.reactor.run_until(last)
        self.assertEqual(self.ran, [-1])
        self.stop()

    def test_given_up_while_it_runs(self) -> None:
        """It cannot be stopped; its result is ignored."""
        self.blocker.cancel()
        self.failureResultOf(self.blocker, CancelledError)
        after = self.threads.run(self.ran.append, 1)
        self.release.set()
        self.reactor.run_until(after)
        self.assertEqual(self.ran, [1])
        self.stop()

    def test_room(self) -> None:
        """For max_queue functions; then until one begins, or is given up."""
        waiting = []
        for number in range(3):
            self.assertIs(self.threads.space(), None)
            waiting.append(self.threads.run(self.ran.append, number))
        for how in ("given up", "begun"):
            spaces = [self.threads.space(), self.threads.space()]
            for space in spaces:
                assert space is not None
                self.assertNoResult(space)
            if how == "given up":
                given_up = waiting.pop()
                given_up.cancel()
                self.failureResultOf(given_up, CancelledError)
            else:
                self.release.set()
            for space in spaces:
                assert space is not None
                self.reactor.run_until(space)  # type: ignore[arg-type]
                self.successResultOf(space)
            if how == "given up":
                self.assertIs(self.threads.space(), None)
                waiting.append(self.threads.run(self.ran.append, 3))
        self.reactor.run_until(waiting[-1])
        self.assertEqual(self.ran, [0, 1, 3])
        self.stop()

    def test_room_after_a_stop(self) -> None:
        """The new queue is empty."""
        for number in range(3):
            self.threads.run(self.ran.append, number)
        space = self.threads.space()
        assert space is not None
        stopped = self.threads.stopService()
        self.successResultOf(space)
        self.release.set()
        self.reactor.run_until(stopped)
