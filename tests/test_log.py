"""natsroute.log; tests.test_hostile_text shows what reaches a log file."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, LogLevel, eventAsText, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.log import MAX_TRACEBACK_LINES, Logger, PrintableText
from natsroute.text import MAX_TEXT


class LoggerTests(SynchronousTestCase):
    """Events of natsroute's logger."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.log = Logger(observer=self.events.append)

    def logged(self, format: str, **fields: Any) -> str:
        self.log.info(format, **fields)
        return formatEvent(self.events[-1])

    def test_namespace(self) -> None:
        """It is that of the module or class, as with Twisted's logger."""

        class Owner:
            log = Logger(observer=self.events.append)

        self.assertEqual(self.log.namespace, "tests.test_log")
        Owner().log.warn("x")
        event = self.events[-1]
        self.assertEqual((event["log_namespace"], event["log_level"]), ("tests.test_log.Owner", LogLevel.warn))
        self.assertIsInstance(event["log_source"], Owner)

    def test_fields(self) -> None:
        """Numbers can be formatted as such, and all other values are text."""
        shown = self.logged(
            "{text} {number:.3g} {flag} {nothing} {error} {items}",
            text="a\n\x1b{number}",
            number=1.23456,
            flag=True,
            nothing=None,
            error=ValueError("x\u2028"),
            items=["\x1b"],
        )
        self.assertEqual(shown, r"a\n\x1b{number} 1.23 True None x\u2028 ['\x1b']")

    def test_repr(self) -> None:
        """It has quotes, and each escape once."""
        self.assertEqual(self.logged("{subject!r}", subject="a.\udcff.\x1b"), r"'a.\xff.\x1b'")
        self.assertEqual([repr(PrintableText(text)) for text in ("it's", "'\"")], ['"it\'s"', "'\\'\"'"])

    def test_long_fields(self) -> None:
        """All texts of an event are bounded together."""
        shown = self.logged("{a}{b}{c}{d}", a="x" * 50_000_000, b="\x1b" * 1000, c=ValueError("y" * 5000), d="short")
        self.assertLess(len(shown), MAX_TEXT + 4 * len("... (50000000 characters)"))
        self.assertIn("x... (50000000 characters)", self.logged("{a}", a="x" * 50_000_000))
        self.assertEqual(len(self.logged("{a}{b}", a="x" * 1000, b="y" * 1000)), MAX_TEXT)

    def failure(self, function: Any) -> tuple[LogEvent, str]:
        """The event and the text for what a function raises."""
        try:
            function()
        except Exception:
            self.log.failure("Failed on {subject!r}", subject="s\x1b")
        return self.events[-1], eventAsText(self.events[-1], includeTimestamp=False, includeSystem=False)

    def test_failure(self) -> None:
        """Its message is one line. The failure can still be examined."""

        def fail() -> None:
            raise ValueError("a\n\x1b[2J\udcff")

        event, text = self.failure(fail)
        lines = text.splitlines()
        self.assertEqual((lines[0], lines[1]), (r"Failed on 's\x1b'", "Traceback (most recent call last):"))
        self.assertEqual(lines[-1], r"builtins.ValueError: a\n\x1b[2J\xff")
        self.assertIn("in fail", text)
        failure: Failure = event["log_failure"]
        self.assertIs(failure.check(ValueError), ValueError)
        self.assertEqual(str(failure.value), "a\n\x1b[2J\udcff")
        self.assertEqual(failure.getErrorMessage(), r"a\n\x1b[2J\xff")

    def test_long_failures(self) -> None:
        def fail() -> None:
            raise ValueError("\n" * 50_000_000)

        _, text = self.failure(fail)
        self.assertLess(len(text), MAX_TEXT + 1000)

        def recurse() -> None:
            recurse()

        _, text = self.failure(recurse)
        lines = text.splitlines()
        self.assertLessEqual(len(lines), MAX_TRACEBACK_LINES + 2)
        self.assertIn("more lines", text)
        self.assertIn("RecursionError", lines[-1])

    def test_an_exception_without_a_text(self) -> None:
        class BrokenError(Exception):
            def __str__(self) -> str:
                raise ZeroDivisionError

        def fail() -> None:
            raise BrokenError

        self.assertIn("BrokenError, whose text raised ZeroDivisionError", self.failure(fail)[1])

    def test_a_failure_without_a_traceback(self) -> None:
        self.log.failure("Failed", failure=Failure(ValueError("\x1b")))
        text = eventAsText(self.events[-1], includeTimestamp=False, includeSystem=False)
        self.assertIn(r"ValueError: \x1b", text)
