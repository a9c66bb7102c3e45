"""natsroute.daemon.lifecycle"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.lifecycle import Lifecycle, Phase
from natsroute.errors import MisuseError


class LifecycleTests(SynchronousTestCase):
    """Each order of start and stop."""

    def setUp(self) -> None:
        self.steps: list[str] = []
        self.ending: Deferred[None] = Deferred()
        self.lifecycle = Lifecycle(lambda: self.steps.append("begin"), self.end)

    def end(self) -> Deferred[None]:
        self.steps.append("end")
        self.ending = Deferred()
        return self.ending

    def test_start_and_stop(self) -> None:
        for _ in range(2):
            self.lifecycle.start()
            stopped = self.lifecycle.stop()
            self.assertNoResult(stopped)
            self.ending.callback(None)
            self.successResultOf(stopped)
        self.assertEqual(self.steps, ["begin", "end"] * 2)

    def test_stop_without_start(self) -> None:
        self.successResultOf(self.lifecycle.stop())
        self.assertEqual(self.steps, [])

    def test_started_twice(self) -> None:
        """Nothing begins twice."""
        self.lifecycle.start()
        self.assertRaises(MisuseError, self.lifecycle.start)
        self.lifecycle.stop()
        self.lifecycle.start()
        self.assertRaises(MisuseError, self.lifecycle.start)
        self.assertEqual(self.steps, ["begin", "end"])

    def test_stopped_twice(self) -> None:
        """Both wait for the one stop."""
        self.lifecycle.start()
        both = [self.lifecycle.stop(), self.lifecycle.stop()]
        for stopped in both:
            self.assertNoResult(stopped)
        self.ending.callback(None)
        for stopped in both:
            self.successResultOf(stopped)
        self.assertEqual(self.steps, ["begin", "end"])

    def test_started_while_stopping(self) -> None:
        """It starts when it has stopped; before who waits for the stop goes on."""
        self.lifecycle.start()
        stopped = self.lifecycle.stop().addCallback(lambda _: list(self.steps))
        self.lifecycle.start()
        self.assertEqual((self.steps, self.lifecycle.phase), (["begin", "end"], Phase.RESTARTING))
        self.ending.callback(None)
        self.assertEqual(self.successResultOf(stopped), ["begin", "end", "begin"])
        self.assertEqual(self.lifecycle.phase, Phase.RUNNING)

    def test_stopped_while_it_would_start_again(self) -> None:
        self.lifecycle.start()
        first = self.lifecycle.stop()
        self.lifecycle.start()
        second = self.lifecycle.stop()
        self.ending.callback(None)
        for stopped in (first, second):
            self.successResultOf(stopped)
        self.assertEqual((self.steps, self.lifecycle.phase), (["begin", "end"], Phase.STOPPED))

    def test_cancelled(self) -> None:
        """Only the wait ends."""
        self.lifecycle.start()
        first, second = self.lifecycle.stop(), self.lifecycle.stop()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        self.ending.callback(None)
        self.successResultOf(second)

    def test_a_stop_that_fails(self) -> None:
        """Who waits learns it. It can be started again."""
        self.lifecycle.start()
        both = [self.lifecycle.stop(), self.lifecycle.stop()]
        self.ending.errback(ValueError("no"))
        for stopped in both:
            self.failureResultOf(stopped, ValueError)
        self.lifecycle.start()
        self.assertEqual(self.steps, ["begin", "end", "begin"])
