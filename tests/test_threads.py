"""natsroute.daemon.threads, with a clock of the test; tests.integration.test_threads has a real reactor"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.threads import Threads
from tests.support.log_recorder import LogRecorder
from tests.support.waiting import TIMEOUT


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


class ThreadsTests(SynchronousTestCase):
    """A pool of threads that a stop does not wait for."""

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

    def test_daemon_threads(self) -> None:
        """A blocked one does not keep the process running."""
        self.threads.startService()
        running = self.threads.run(lambda: threading.current_thread().daemon)
        self.reactor.run_until(running)
        self.assertIs(self.successResultOf(running), True)
        self.stop()
