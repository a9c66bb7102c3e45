"""natsroute.daemon.exit_code; tests.integration.test_hooks ends a process"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.exit_code import ExitCode


class MemoryReactor:
    """A reactor that can be stopped once."""

    def __init__(self) -> None:
        self.when_running: list[Callable[[], object]] = []
        self.stops = 0

    def callWhenRunning(self, function: Callable[[], object]) -> None:
        self.when_running.append(function)

    def stop(self) -> None:
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning


class ExitCodeTests(SynchronousTestCase):
    """A process that fails."""

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.at_exit: list[Callable[[], None]] = []
        self.codes: list[int] = []
        self.exit_code = ExitCode(self.reactor, register=self.at_exit.append, exit=self.codes.append)

    def test_without_a_failure(self) -> None:
        """Python ends as it does without natsroute."""
        self.at_exit[0]()
        self.assertEqual((self.codes, self.reactor.when_running), ([], []))

    def test_fail(self) -> None:
        """The reactor stops, or is not started for long; the code comes last."""
        self.exit_code.fail()
        self.assertEqual(self.reactor.stops, 0)
        self.reactor.when_running[0]()
        self.assertEqual((self.reactor.stops, self.codes), (1, []))
        self.at_exit[0]()
        self.assertEqual(self.codes, [1])

    def test_a_reactor_that_stops_already(self) -> None:
        """Because of a signal, or of another failure."""
        for _ in range(2):
            self.exit_code.fail()
        for stop in self.reactor.when_running:
            stop()
        self.at_exit[0]()
        self.assertEqual(self.codes, [1])
