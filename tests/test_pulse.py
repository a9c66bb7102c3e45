"""natsroute.monitoring.pulse"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.pulse import Pulse


class PulseTests(SynchronousTestCase):
    """A reactor that answers when the test says so."""

    def setUp(self) -> None:
        self.now = 100.0
        self.questions: list[Callable[[], None]] = []
        self.answers: list[float] = []
        self.pulse = Pulse(self, self.answers.append, lambda: self.now)

    def callFromThread(self, function: Callable[..., None], *arguments: Any) -> None:
        self.questions.append(lambda: function(*arguments))

    def test_look(self) -> None:
        """One question at a time, and how long it waits."""
        self.assertEqual(self.pulse.look(), 0.0)
        for seconds in (1.5, 3.0):
            self.now += 1.5
            self.assertEqual((self.pulse.look(), len(self.questions)), (seconds, 1))
        self.questions.pop()()
        self.assertEqual(self.answers, [3.0])
        self.assertEqual((self.pulse.look(), len(self.questions)), (0.0, 1))

    def test_thread(self) -> None:
        """The one that starts it, until another one answers."""
        self.assertIsNone(self.pulse.thread)
        self.pulse.start()
        self.assertEqual(self.pulse.thread, threading.get_ident())
        self.pulse.look()
        thread = threading.Thread(target=self.questions.pop())
        thread.start()
        thread.join()
        self.assertNotEqual(self.pulse.thread, threading.get_ident())

    def test_start_again(self) -> None:
        """A question of the last run is forgotten."""
        self.pulse.look()
        self.now += 9
        self.pulse.start()
        self.assertEqual(self.pulse.look(), 0.0)
