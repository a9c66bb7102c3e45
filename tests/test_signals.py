"""natsroute.daemon.signals; tests.integration.test_signals sends them to a process"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.signals import OtherSignals, StopSignals, overlook_next_signal
from tests.support.log_recorder import LogRecorder

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class MemoryReactor:
    """Has handlers of its own, triggers, and keeps calls from other threads."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []
        self.when_running: list[Callable[[], object]] = []
        self.triggers: list[Callable[[], object]] = []
        self.received: list[int] = []

    def sigTerm(self, number: int, frame: object) -> None:
        self.received.append(number)

    sigInt = sigTerm

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        self.calls.append(lambda: function(*arguments))

    def callWhenRunning(self, function: Callable[..., object], **options: object) -> None:
        self.when_running.append(lambda: function(**options))

    def addSystemEventTrigger(self, phase: str, event: str, function: Callable[[], object]) -> object:
        assert (phase, event) == ("before", "shutdown")
        self.triggers.append(function)
        return function

    def removeSystemEventTrigger(self, trigger: Any) -> None:
        self.triggers.remove(trigger)

    def run(self) -> None:
        """Begin to run, or go on."""
        if self.when_running:
            signal.signal(signal.SIGTERM, self.sigTerm)
            signal.signal(signal.SIGINT, self.sigInt)
        while self.when_running:
            self.when_running.pop(0)()
        while self.calls:
            self.calls.pop(0)()

    def shut_down(self) -> None:
        """Begin to end."""
        while self.triggers:
            self.triggers.pop(0)()


class SignalTestCase(SynchronousTestCase):
    """A test that leaves the handlers of signals as they were."""

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.log = LogRecorder(self)
        self.skipped: list[str] = []
        for number in NUMBERS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def stop_signals(self, name: str = "x") -> StopSignals:
        return StopSignals(self.reactor, lambda: self.skipped.append(name))


class StopSignalTests(SignalTestCase):
    """SIGTERM and SIGINT."""

    def test_three_steps(self) -> None:
        """The first is Twisted's. The second skips the drain, in the reactor's thread. The third has its default."""
        for first, second in ((signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
            self.setUp()
            signals = self.stop_signals()
            signals.install()
            self.reactor.run()
            self.assertFalse(signals.process_ends)
            signal.raise_signal(first)
            self.assertTrue(signals.process_ends)
            self.assertEqual((self.reactor.received, self.reactor.calls), ([first], []))
            signal.raise_signal(second)
            self.assertEqual(self.skipped, [])
            for number in (signal.SIGTERM, signal.SIGINT):
                self.assertEqual(signal.getsignal(number), signal.SIG_DFL)
            self.reactor.run()
            self.assertEqual((self.reactor.received, self.skipped), ([first], ["x"]))
            self.assertEqual(
                self.log.lines(),
                [f"Received {second.name} again: skipping the drain. One more ends the process at once"],
            )

    def test_what_comes_before_the_end(self) -> None:
        """At the third signal, also if the reactor has not heard of the second one yet."""
        done: list[str] = []
        raise_signal = signal.raise_signal

        def ended(number: int) -> None:
            done.append(f"{signal.Signals(number).name}, {signal.getsignal(number)!r}")

        self.patch(signal, "raise_signal", ended)
        signals = StopSignals(self.reactor, lambda: self.skipped.append("x"), lambda: done.append("killed"))
        signals.install()
        self.reactor.run()
        raise_signal(signal.SIGTERM)
        raise_signal(signal.SIGTERM)
        self.assertEqual(done, [])
        raise_signal(signal.SIGINT)
        self.assertEqual((done, self.skipped), (["killed", f"SIGINT, {signal.SIG_DFL!r}"], []))

    def test_two_before_the_reactor_stops(self) -> None:
        """Twisted hears of the first only: to stop its reactor twice is an error."""
        signals = self.stop_signals()
        signals.install()
        self.reactor.run()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        self.reactor.shut_down()
        self.reactor.run()
        self.assertEqual((self.reactor.received, self.skipped), ([signal.SIGTERM], ["x"]))

    def test_a_process_that_ends_for_another_reason(self) -> None:
        """The first signal after that skips the drain."""
        signals = self.stop_signals()
        signals.install()
        self.reactor.run()
        self.reactor.shut_down()
        self.assertTrue(signals.process_ends)
        signal.raise_signal(signal.SIGTERM)
        self.reactor.run()
        self.assertEqual((self.reactor.received, self.skipped), ([], ["x"]))

    def test_asked_in_another_way_too(self) -> None:
        """Who asked may send the signal as well, before the reactor stops or after that. The one after it counts."""
        for sent_first in (False, True):
            signals, self.skipped[:] = self.stop_signals(), []
            signals.install()
            self.reactor.run()
            overlook_next_signal()
            if sent_first:
                signal.raise_signal(signal.SIGTERM)
            self.reactor.shut_down()
            if not sent_first:
                signal.raise_signal(signal.SIGTERM)
            self.reactor.run()
            self.assertEqual((self.reactor.received, self.skipped), ([], []))
            signal.raise_signal(signal.SIGTERM)
            self.reactor.run()
            self.assertEqual((self.reactor.received, self.skipped), ([], ["x"]))

    def test_asked_after_the_signal(self) -> None:
        """Then the signal was the first request, and the next one counts."""
        signals = self.stop_signals()
        signals.install()
        self.reactor.run()
        signal.raise_signal(signal.SIGTERM)
        overlook_next_signal()
        self.reactor.shut_down()
        signal.raise_signal(signal.SIGTERM)
        self.reactor.run()
        self.assertEqual((self.reactor.received, self.skipped), ([signal.SIGTERM], ["x"]))

    def test_two_services(self) -> None:
        """One signal concerns both. The handlers are Twisted's again when both have stopped, in whatever order."""
        for order in (0, 1), (1, 0):
            self.setUp()
            both = [self.stop_signals("a"), self.stop_signals("b")]
            for signals in both:
                signals.install()
            self.reactor.run()
            both[order[0]].restore()
            self.assertNotEqual(signal.getsignal(signal.SIGTERM), self.reactor.sigTerm)
            both[order[1]].restore()
            self.assertEqual(signal.getsignal(signal.SIGTERM), self.reactor.sigTerm)
            self.assertEqual(signal.getsignal(signal.SIGINT), self.reactor.sigInt)
            for signals in both:
                signals.install()
            self.reactor.run()
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            self.reactor.run()
            self.assertEqual((self.reactor.received, sorted(self.skipped)), ([signal.SIGTERM], ["a", "b"]))

    def test_a_service_that_stops_alone(self) -> None:
        """The process goes on, with its own handlers; before the reactor runs, and after."""
        signals = self.stop_signals()
        signals.install()
        signals.restore()
        self.reactor.run()
        self.assertEqual(signal.getsignal(signal.SIGTERM), self.reactor.sigTerm)
        signals.install()
        self.reactor.run()
        signals.restore()
        self.assertEqual(signal.getsignal(signal.SIGTERM), self.reactor.sigTerm)
        self.assertEqual(self.reactor.triggers, [])

    def test_a_service_that_stops_with_the_process(self) -> None:
        """Its signals keep their meaning until the process has ended."""
        signals = self.stop_signals()
        signals.install()
        self.reactor.run()
        signal.raise_signal(signal.SIGTERM)
        self.reactor.shut_down()
        signals.restore()
        self.assertNotEqual(signal.getsignal(signal.SIGTERM), self.reactor.sigTerm)

    def test_a_handler_of_the_program(self) -> None:
        """It stays until the process ends: it may do something else than to end it."""
        own: list[int] = []
        handler = lambda number, frame: own.append(number)  # noqa: E731 - a handler that the test compares
        signals = self.stop_signals()
        signals.install()
        self.reactor.run()
        signals.restore()
        signal.signal(signal.SIGTERM, handler)
        signals.install()
        while self.reactor.when_running:
            self.reactor.when_running.pop()()
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        self.assertEqual(own, [signal.SIGTERM] * 3)
        self.reactor.shut_down()
        signal.raise_signal(signal.SIGTERM)
        self.reactor.run()
        self.assertEqual((len(own), self.skipped), (3, ["x"]))

    def test_in_another_thread(self) -> None:
        """Python cannot handle signals there. Nothing is changed, and nothing is raised."""
        before = [signal.getsignal(number) for number in NUMBERS]

        def run() -> None:
            for signals in (self.stop_signals(), OtherSignals(self.reactor, lambda: None, lambda: None)):
                signals.install()
            while self.reactor.when_running:
                self.reactor.when_running.pop()()
            self.reactor.shut_down()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        self.assertEqual([signal.getsignal(number) for number in NUMBERS], before)


class OtherSignalTests(SignalTestCase):
    """SIGHUP, SIGUSR1 and SIGUSR2."""

    def setUp(self) -> None:
        super().setUp()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        self.reports: list[str] = []
        self.reloads: list[str] = []
        self.signals = OtherSignals(self.reactor, lambda: self.reports.append("x"), lambda: self.reloads.append("x"))

    def test_each(self) -> None:
        """SIGHUP reloads, SIGUSR1 does nothing, SIGUSR2 reports; all in the reactor's thread."""
        self.signals.install()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.raise_signal(number)
        self.assertEqual((self.reports, self.reloads), ([], []))
        self.reactor.run()
        self.assertEqual((self.reports, self.reloads), (["x"], ["x"]))

    def test_restore(self) -> None:
        self.signals.install()
        self.signals.restore()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            self.assertEqual(signal.getsignal(number), signal.SIG_DFL)

    def test_handlers_of_others(self) -> None:
        """What twistd or the program handles or ignores stays theirs, at the start and at the end."""

        def rotate(number: int, frame: object) -> None:
            raise AssertionError("not called")

        signal.signal(signal.SIGUSR1, rotate)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.signals.install()
        self.assertEqual(signal.getsignal(signal.SIGUSR1), rotate)
        signal.signal(signal.SIGUSR2, rotate)
        self.signals.restore()
        self.assertEqual(
            [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)],
            [signal.SIG_IGN, rotate, rotate],
        )
