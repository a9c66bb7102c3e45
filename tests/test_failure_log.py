"""natsroute.routes.failure_log"""

from __future__ import annotations

from collections.abc import Callable

from natsroute import Event
from natsroute.errors import DecodeError, ScriptError, ScriptLimitError
from natsroute.routes.failure_log import PERIOD
from tests.support.route_cases import CallsTestCase, an_event


def dividing(event: Event) -> None:
    raise ZeroDivisionError("here")


def failing(event: Event) -> None:
    raise ValueError(event.subject)


class FailureLogTests(CallsTestCase):
    """In full once, then counted."""

    def fail_often(self, function: Callable[[Event], object], times: int) -> None:
        for number in range(times):
            self.call(function, an_event(subject=f"a.{number}"))

    def test_many_failures(self) -> None:
        """20,000 of them are a traceback and a line."""
        self.fail_often(failing, 20_000)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.log.lines("error"), [])
        self.clock.advance(PERIOD)
        summary = "Event route nats:a.* failed with ValueError 19999 more times in 60 s, last on a message to 'a.19999'"
        self.assertEqual(self.log.lines("error"), [summary])
        self.assertEqual(self.counters.failed, 20_000)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_observer(self) -> None:
        """It sees each failure, also those that are counted."""
        seen: list[str] = []
        self.in_flight.failures.observe(lambda event, failure: seen.append(failure.getErrorMessage()))
        self.fail_often(failing, 3)
        self.assertEqual(seen, ["a.0", "a.1", "a.2"])
        self.flushLoggedErrors(ValueError)

    def test_at_most_once_a_minute(self) -> None:
        """Also for errors that go on for a long time."""
        for _ in range(600):
            self.fail_often(failing, 3)
            self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.log.lines("error")), 10)
        self.assertIn("failed with ValueError 179 more times in 60 s", self.log.lines("error")[0])
        self.assertIn("failed with ValueError 180 more times in 60 s", self.log.lines("error")[1])

    def test_different_errors(self) -> None:
        """Another type, another line, another route: each has its own."""

        def also_dividing(event: Event) -> None:
            raise ZeroDivisionError("there")

        for function in (dividing, failing, also_dividing):
            self.fail_often(function, 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, ValueError)), 3)
        self.clock.advance(PERIOD)
        self.assertEqual(len(self.log.lines("error")), 3)

    def test_scripts(self) -> None:
        """Errors of a script in Lua differ by their line in it. The log has no traceback of Python."""

        def failing_script(event: Event) -> None:
            raise ScriptError("a.lua", int(event.subject), 1, "no luck", "Called by: f; g")

        for subject in ("1", "2", "1"):
            self.call(failing_script, an_event(subject=subject))
        lines = self.log.lines("error")
        self.assertEqual(len(lines), 2)
        self.assertEqual(
            lines[0],
            "Event route nats:a.* failed on a message to '1': a.lua:1:1: no luck. Called by: f; g",
        )

    def test_a_script_without_end(self) -> None:
        """A traceback would show the compiler of scripts, and nothing of the script."""

        def endless(event: Event) -> None:
            raise ScriptLimitError("too many turns")

        self.call(endless, an_event(subject="1"))
        self.assertEqual(self.log.lines(), ["Event route nats:a.* failed on a message to '1': too many turns"])

    def test_an_error_that_comes_back(self) -> None:
        """It is logged in full again after a quiet minute."""
        self.fail_often(failing, 1)
        self.clock.advance(PERIOD - 1)
        self.fail_often(failing, 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.clock.advance(PERIOD)
        self.clock.advance(PERIOD)
        self.fail_often(failing, 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.log.lines("error")), 1)

    def test_errors_without_a_traceback(self) -> None:
        """A payload that cannot be decoded: one line, then counted."""
        for _ in range(3):
            self.call(lambda event: event.json(), an_event(b"{"))
        self.assertEqual(self.flushLoggedErrors(DecodeError), [])
        self.assertEqual(len(self.log.lines("error")), 1)
        self.clock.advance(PERIOD)
        self.assertIn("failed with DecodeError 2 more times", self.log.lines("error")[1])

    def test_at_the_stop(self) -> None:
        """What was counted is summed up, and no timer is left."""
        self.fail_often(failing, 3)
        self.clock.advance(5)
        self.in_flight.stop()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertIn("2 more times in 5 s", self.log.lines("error")[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_code_has_changed(self) -> None:
        """What was counted is summed up, and each error is logged in full again. No class of an error is kept."""
        self.fail_often(failing, 3)
        self.in_flight.failures.begin_anew()
        self.assertEqual(self.in_flight.failures._repeats, {})
        self.fail_often(failing, 1)
        self.assertEqual([event["log_level"].name for event in self.log.events], ["critical", "error", "critical"])
        self.flushLoggedErrors(ValueError)
