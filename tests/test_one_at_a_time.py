"""natsroute.daemon.one_at_a_time"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.one_at_a_time import OneAtATime


class OneAtATimeTests(SynchronousTestCase):
    """Runs that end when the test says so."""

    def setUp(self) -> None:
        self.runs: list[Deferred[str]] = []
        self.idle = 0
        self.once = OneAtATime(self.begin, self.on_idle)

    def begin(self) -> Deferred[str]:
        """A run that has begun."""
        self.runs.append(Deferred())
        return self.runs[-1]

    def on_idle(self) -> None:
        """No run follows."""
        self.idle += 1

    def test_one(self) -> None:
        asked = self.once.ask()
        self.assertTrue(self.once.is_running)
        self.runs[0].callback("done")
        self.assertEqual((self.successResultOf(asked), self.once.is_running, self.idle), ("done", False, 1))

    def test_during_a_run(self) -> None:
        """All who ask meanwhile get one further run."""
        first, second, third = (self.once.ask() for _ in range(3))
        self.assertEqual(len(self.runs), 1)
        self.runs[0].callback("a")
        self.assertEqual((self.successResultOf(first), len(self.runs), self.idle), ("a", 2, 0))
        self.assertNoResult(second)
        self.runs[1].callback("b")
        self.assertEqual((self.successResultOf(second), self.successResultOf(third), self.idle), ("b", "b", 1))

    def test_failure(self) -> None:
        """It is that of its own askers only."""
        first, second = self.once.ask(), self.once.ask()
        self.runs[0].errback(ValueError("no"))
        self.failureResultOf(first, ValueError)
        self.runs[1].callback("b")
        self.assertEqual(self.successResultOf(second), "b")

    def test_cancelled(self) -> None:
        """The run goes on, for the others."""
        first, second, third = (self.once.ask() for _ in range(3))
        for one in (first, second):
            one.cancel()
            self.failureResultOf(one, CancelledError)
        self.runs[0].callback("a")
        self.runs[1].callback("b")
        self.assertEqual(self.successResultOf(third), "b")

    def test_refuse_next(self) -> None:
        """The run that has begun goes on."""
        first, second = self.once.ask(), self.once.ask()
        self.once.refuse_next(ValueError("stopping"))
        self.failureResultOf(second, ValueError)
        self.runs[0].callback("a")
        self.assertEqual((self.successResultOf(first), len(self.runs)), ("a", 1))
