"""natsroute.daemon.sending.reactor_thread"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.sending.reactor_thread import ReactorThread


class ReactorThreadTests(SynchronousTestCase):
    """This thread is the reactor's; what other threads ask for runs when the test says so."""

    def setUp(self) -> None:
        self.asked: list[Callable[[], None]] = []
        self.thread = ReactorThread(self.asked.append)

    def test_current(self) -> None:
        """No thread is the reactor's before it is known."""
        self.assertFalse(self.thread.is_current)
        self.thread.start()
        others: list[bool] = []
        other = Thread(target=lambda: others.append(self.thread.is_current))
        other.start()
        other.join()
        self.assertEqual((self.thread.is_current, others), (True, [False]))

    def test_run(self) -> None:
        """The result is that of the function, or of its Deferred."""
        later: Deferred[int] = Deferred()
        results: list[Deferred[Any]] = [
            self.thread.run(divmod, 7, 2),
            self.thread.run(lambda: later),
            self.thread.run(divmod, 7, 0),
        ]
        self.assertNoResult(results[0])
        for call in self.asked:
            call()
        self.assertEqual(self.successResultOf(results[0]), (3, 1))
        self.assertNoResult(results[1])
        later.callback(5)
        self.assertEqual(self.successResultOf(results[1]), 5)
        self.failureResultOf(results[2], ZeroDivisionError)

    def test_cancel(self) -> None:
        """Before the call, it is not made; during it, its Deferred is cancelled."""
        cancelled: list[object] = []
        later: Deferred[int] = Deferred(cancelled.append)
        calls: list[str] = []
        never, begun = self.thread.run(calls.append, "called"), self.thread.run(lambda: later)
        never.cancel()
        for call in self.asked:
            call()
        self.assertEqual(calls, [])
        self.failureResultOf(never, CancelledError)
        begun.cancel()
        self.failureResultOf(begun, CancelledError)
        self.assertEqual(cancelled, [later])
