"""natsroute.kamailio.script.operators"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.script.operators import (
    INTEGER_OPERATORS,
    INTEGER_PREFIXES,
    MAX_TEXT,
    equal,
    join,
    matches,
    to_int,
    to_text,
    wrap,
)
from natsroute.kamailio.values import CodedText, NumberText


class ConversionTests(SynchronousTestCase):
    """From values to integers and strings."""

    def test_to_int(self) -> None:
        for value, number in [
            (None, 0), (5, 5), (b"", 0), (b"5", 5), (b"+5", 5), (b"-5", -5), (b"-", 0), (b"12abc", 0), (b" 5", 0),
            (b"0x1F", 31), (b"0Xff", 255), (b"0x", 0), (b"-0x1F", 0), (b"9223372036854775808", 0), (b"1e3", 0),
            (b"0xffffffffffffffff", -1), (b"007", 7), (NumberText(7, b"007"), 7), (CodedText(b"OPTIONS", 128), 128),
            (b"\xb2", 0),
        ]:  # fmt: skip
            found = to_int(value)
            self.assertEqual((found, type(found)), (number, int), value)

    def test_to_text(self) -> None:
        for value, text in [
            (None, b""), (-5, b"-5"), (b"a", b"a"), (NumberText(7, b"007"), b"007"), (CodedText(b"a", 1), b"a"),
        ]:  # fmt: skip
            found = to_text(value)
            self.assertEqual((found, type(found)), (text, bytes), value)

    def test_wrap(self) -> None:
        """Integers have 64 bits."""
        for number, wrapped in [(2**63 - 1, 2**63 - 1), (2**63, -(2**63)), (-(2**63) - 1, 2**63 - 1), (2**64, 0)]:
            self.assertEqual(wrap(number), wrapped)


class IntegerTests(SynchronousTestCase):
    """Operators of integers."""

    def test_two(self) -> None:
        for left, operator, right, result in [
            (7, "/", 2, 3), (-7, "/", 2, -3), (7, "/", -2, -3), (-7, "/", -2, 3), (7, "mod", 3, 1), (-7, "mod", 3, -1),
            (7, "mod", -3, 1), (6, "|", 3, 7), (6, "&", 3, 2), (6, "^", 3, 5), (1, "<<", 3, 8), (1, "<<", 64, 1),
            (-8, ">>", 1, -4), (1, "<<", 63, -(2**63)), (2**62, "*", 4, 0), (2**63 - 1, "+", 1, -(2**63)),
            (-(2**63), "-", 1, 2**63 - 1), (-(2**63), "/", -1, -(2**63)), (1, "<", 2, 1), (2, "<=", 1, 0),
            (2, ">", 1, 1), (1, ">=", 1, 1), (1, "ieq", 1, 1), (1, "ine", 1, 0),
        ]:  # fmt: skip
            self.assertEqual(INTEGER_OPERATORS[operator](left, right), result, (left, operator, right))

    def test_by_zero(self) -> None:
        for operator in ("/", "mod"):
            self.assertRaises(EvaluationError, INTEGER_OPERATORS[operator], 1, 0)

    def test_one(self) -> None:
        for operator, operand, result in [
            ("-", 5, -5),
            ("-", -(2**63), -(2**63)),
            ("~", 5, -6),
            ("!", 5, 0),
            ("!", 0, 1),
        ]:
            self.assertEqual(INTEGER_PREFIXES[operator](operand), result)


class ValueTests(SynchronousTestCase):
    """Operators whose operands decide what they do."""

    def test_long_texts(self) -> None:
        """A loop that doubles a string ends before the memory does."""
        self.assertEqual(len(join(b"a" * (MAX_TEXT - 1), b"a")), MAX_TEXT)
        self.assertRaises(EvaluationError, join, b"a" * MAX_TEXT, b"a")

    def test_equal(self) -> None:
        """The left operand is no integer; if it is null, the right one decides."""
        for left, right, result in [
            (b"5", 5, 1), (b"05", 5, 0), (b"", 0, 0), (None, 0, 1), (None, 1, 0), (None, b"", 1), (None, b"a", 0),
            (None, None, 1),            (b"", None, 1),
        ]:  # fmt: skip
            self.assertEqual(equal(left, right), result, (left, right))

    def test_matches(self) -> None:
        """Case is ignored, and a line feed is a character as any other."""
        for left, right, result in [
            (b"Abc", b"^a.c$", 1), (b"abc", b"^b", 0), (123, b"2", 1), (None, b"^$", 1), (b"a\nb", b"^b", 0),
            (b"a\nb", b"a.b", 1),
        ]:  # fmt: skip
            self.assertEqual(matches(left, right), result, (left, right))
        self.assertRaises(EvaluationError, matches, b"a", b"(")
