"""natsroute.routes.route_errors"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.routes.route_errors import MAX_TEXT, describe, is_exit


class IsExitTests(SynchronousTestCase):
    """sys.exit() ends a call; sys.exit(1) fails it."""

    def test_codes(self) -> None:
        for error, expected in (
            (SystemExit(), True),
            (SystemExit(0), True),
            (SystemExit(None), True),
            (SystemExit(1), False),
            (SystemExit("no database"), False),
            (KeyboardInterrupt(), False),
            (ValueError(), False),
        ):
            self.assertIs(is_exit(error), expected, repr(error))


class DescribeTests(SynchronousTestCase):
    """The text of an error for a header or the log."""

    def test_type_and_text(self) -> None:
        self.assertEqual(describe(ValueError("a\x1b\u2028b")), r"ValueError: a\x1b\u2028b")

    def test_a_long_text(self) -> None:
        self.assertEqual(describe(ValueError("x" * 10_000)), f"ValueError: {'x' * MAX_TEXT}... (10000 characters)")

    def test_no_text(self) -> None:
        for problem in (ZeroDivisionError, KeyboardInterrupt):

            class NoTextError(Exception):
                def __str__(self, problem: type[BaseException] = problem) -> str:
                    raise problem

            self.assertEqual(describe(NoTextError()), "NoTextError")
