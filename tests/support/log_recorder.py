"""Records what a test logs."""

from __future__ import annotations

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase


class LogRecorder:
    """
    Records log events until the test ends: ``recorder = LogRecorder(testcase)``.

    :ivar events: the events so far; may be cleared.
    """

    def __init__(self, testcase: SynchronousTestCase) -> None:
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        testcase.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def lines(self, level: str | None = None) -> list[str]:
        """
        The messages.

        :param level: the name of a level, such as ``"warn"``; None for all levels.
        """
        return [formatEvent(event) for event in self.events if level is None or event["log_level"].name == level]

    def matching(self, text: str) -> list[str]:
        """The messages that contain the text."""
        return [line for line in self.lines() if text in line]
