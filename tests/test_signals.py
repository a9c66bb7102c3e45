"""natsroute.daemon.signals"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.signals import call_at_next_signal


class MemoryReactor:
    """Keeps the calls from other threads."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, function: Callable[[], object]) -> None:
        self.calls.append(function)


class SignalTests(SynchronousTestCase):
    """call_at_next_signal()"""

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.called: list[str] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def call(self, function: Callable[[], object]) -> None:
        call_at_next_signal(self.reactor, function)

    def test_each(self) -> None:
        """The function is called once, by the reactor. The next signal has its default effect."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.call(lambda: self.called.append("x"))
            os.kill(os.getpid(), number)
            self.assertEqual(self.called, [])
            [call] = self.reactor.calls
            call()
            self.assertEqual(self.called, ["x"])
            self.assertEqual(signal.getsignal(number), signal.SIG_DFL)
            self.called.clear()
            self.reactor.calls.clear()

    def test_in_another_thread(self) -> None:
        """Python cannot handle signals there. Nothing is changed, and nothing is raised."""
        before = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=self.call, args=(lambda: None,))
        thread.start()
        thread.join()
        self.assertEqual(signal.getsignal(signal.SIGTERM), before)
