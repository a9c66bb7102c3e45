"""natsroute.kamailio.values"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.values import (
    MAX_INTEGER,
    MIN_INTEGER,
    CodedText,
    NumberText,
    Value,
    number_of,
    parse_integer,
    text_of,
)


class TextTests(SynchronousTestCase):
    """The text of a value."""

    def test_plain(self) -> None:
        """Bytes are their own text, an integer has its digits."""
        self.assertEqual([text_of(b"a\0\xff"), text_of(0), text_of(-12)], [b"a\0\xff", b"0", b"-12"])

    def test_number_text(self) -> None:
        """A number keeps the text that it was made of."""
        value = NumberText(7, b"007")
        self.assertEqual((value, value + 1, text_of(value)), (7, 8, b"007"))

    def test_coded_text(self) -> None:
        """What comes out of a text with a number is a text without one."""
        found = text_of(CodedText(b"OPTIONS", 512))
        self.assertEqual((found, type(found)), (b"OPTIONS", bytes))


class NumberTests(SynchronousTestCase):
    """The number of a value."""

    def test_numbers(self) -> None:
        """Integers, and the numbers behind texts."""
        numbers = [number_of(value) for value in (5, NumberText(7, b"007"), CodedText(b"udp", 1))]
        self.assertEqual(numbers, [5, 7, 1])
        self.assertEqual({type(number) for number in numbers}, {int})

    def test_no_number(self) -> None:
        """Digits in a string are no number, and null is none."""
        values: tuple[Value, ...] = (b"5", b"", None)
        for value in values:
            self.assertRaises(EvaluationError, number_of, value)


class ParseTests(SynchronousTestCase):
    """The integer that a text holds."""

    def test_integers(self) -> None:
        """Signs, leading zeros, and no digits at all."""
        texts = (b"", b"+", b"-", b"0", b"007", b"+5", b"-12", b"-0", b"0" * 5000 + b"1")
        self.assertEqual([parse_integer(text) for text in texts], [0, 0, 0, 0, 7, 5, -12, 0, 1])

    def test_not_integers(self) -> None:
        """Anything else is none."""
        for text in (b" 5", b"5 ", b"1.5", b"0x1F", b"--1", b"a", "٣".encode()):
            self.assertIsNone(parse_integer(text), text)

    def test_64_bits(self) -> None:
        """The smallest and the largest are there, the next ones are not; nor is one of 5000 digits."""
        for limit, beyond in ((MAX_INTEGER, MAX_INTEGER + 1), (MIN_INTEGER, MIN_INTEGER - 1)):
            self.assertEqual(parse_integer(b"%d" % limit), limit)
            self.assertIsNone(parse_integer(b"%d" % beyond))
        self.assertIsNone(parse_integer(b"9" * 5000))
