"""natsroute.console.interruption"""

from __future__ import annotations

import io
import sys

from twisted.internet.base import _ThreePhaseEvent
from twisted.trial.unittest import SynchronousTestCase

from natsroute.console.interruption import finishing, tell


class StandInReactor:
    """Has the triggers of a reactor."""

    def __init__(self) -> None:
        self.event = _ThreePhaseEvent()
        self.stopped = False
        self.event.addTrigger("during", self._stop)

    def _stop(self) -> None:
        self.stopped = True

    def addSystemEventTrigger(self, phase: str, kind: str, function: object) -> object:
        assert kind == "shutdown"
        return self.event.addTrigger(phase, function)

    def removeSystemEventTrigger(self, trigger: object) -> None:
        self.event.removeTrigger(trigger)


class InterruptionTests(SynchronousTestCase):
    """A reactor that stops while something is being finished."""

    def test_stop(self) -> None:
        """It waits."""
        reactor = StandInReactor()
        with finishing(reactor):
            reactor.event.fireEvent()
            self.assertFalse(reactor.stopped)
        self.assertTrue(reactor.stopped)

    def test_no_stop(self) -> None:
        """Afterwards, it stops without waiting."""
        reactor = StandInReactor()
        with finishing(reactor):
            pass
        reactor.event.fireEvent()
        self.assertTrue(reactor.stopped)

    def test_tell(self) -> None:
        """In one line, which is safe to show."""
        errors = io.StringIO()
        self.patch(sys, "stderr", errors)
        tell("a\x1b[2J\nb")
        self.assertEqual(errors.getvalue(), "natsroute: a\\x1b[2J\\nb\n")
