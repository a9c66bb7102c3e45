"""natsroute.daemon.watchdog"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.daemon.watchdog import PERIOD, Watchdog
from natsroute.routes.route import Route
from natsroute.routes.running_route import RouteCode
from tests.support.log_recorder import LogRecorder
from tests.support.route_cases import an_event


class WatchdogTests(SynchronousTestCase):
    """A reactor that answers when the test says so."""

    def setUp(self) -> None:
        self.now = 100.0
        self.questions: list[Callable[[], None]] = []
        self.frame: FrameType | None = None
        self.log = LogRecorder(self)
        self.code = RouteCode()
        self.code.add(Route("nats:blocks", self.blocking))
        self.watchdog = Watchdog(self, self.code, 1.0, seconds=lambda: self.now, frame_of=lambda thread: self.frame)
        self.look(0)
        self.answer()

    def callFromThread(self, function: Callable[..., None], *arguments: Any) -> None:
        self.questions.append(lambda: function(*arguments))

    def answer(self) -> None:
        self.questions.pop()()

    def look(self, after: float) -> None:
        self.now += after
        self.watchdog.look()

    def blocking(self, event: Event) -> None:
        self.frame = sys._getframe()

    def block(self) -> None:
        """The route keeps the reactor for 2.5 seconds."""
        self.blocking(an_event())
        for _ in range(11):
            self.look(0.25)
        self.answer()

    def test_a_reactor_that_answers(self) -> None:
        self.blocking(an_event())
        for _ in range(100):
            self.look(0.9)
            self.look(0.9)
            self.answer()
        self.assertEqual(self.log.lines(), [])

    def test_a_route_that_blocks(self) -> None:
        """It is named once while it blocks, and once when it has ended."""
        self.block()
        named, ended = self.log.lines("warn")
        self.assertRegex(
            named,
            r"^Event route nats:blocks has kept the reactor for 1.0 s, and is at .*test_watchdog.py:\d+: nothing else "
            r"runs meanwhile. Use thread=True for a function that blocks$",
        )
        self.assertEqual(ended, "The reactor runs again, 2.5 s after event route nats:blocks began to keep it")

    def test_at_most_once_a_minute(self) -> None:
        for _ in range(10):
            self.block()
        self.assertEqual(len(self.log.lines("warn")), 2)
        self.now += PERIOD
        self.block()
        self.assertEqual(len(self.log.lines("warn")), 4)

    def test_something_else_blocks(self) -> None:
        """Nothing is said of what is no route."""
        self.frame = sys._getframe()
        for _ in range(10):
            self.look(1.0)
        self.answer()
        self.assertEqual(self.log.lines(), [])

    def test_current_code(self) -> None:
        """What runs in the reactor's thread, whether or not the watchdog watches."""
        self.assertEqual(self.watchdog.current_code(), ("", ""))
        self.watchdog._pulse.start()
        self.blocking(an_event())
        route, where = self.watchdog.current_code()
        self.assertEqual(route, "nats:blocks")
        self.assertRegex(where, r"test_watchdog.py:\d+$")
        self.frame = sys._getframe()
        route, where = self.watchdog.current_code()
        self.assertEqual(route, "")
        self.assertRegex(where, r"test_watchdog.py:\d+$")
