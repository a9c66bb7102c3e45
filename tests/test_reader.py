"""natsroute.kamailio.reader"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ExpressionError
from natsroute.kamailio.reader import Reader, as_bytes, as_characters


class CharacterTests(SynchronousTestCase):
    """Text as a character for each byte."""

    def test_round_trip(self) -> None:
        """Also for bytes that are not UTF-8."""
        for text in ("plain", "é€😀", "\udcff\udc80"):
            characters = as_characters(text)
            self.assertEqual(as_bytes(characters), text.encode("utf-8", "surrogateescape"))
            self.assertEqual(len(characters), len(text.encode("utf-8", "surrogateescape")))


class ReaderTests(SynchronousTestCase):
    """The cursor."""

    def test_take(self) -> None:
        """Characters one by one, and nothing at the end."""
        reader = Reader("ab")
        self.assertEqual(
            [reader.peek(), reader.take(), reader.take(), reader.take(), reader.peek()], list("aab") + [""] * 2
        )

    def test_part(self) -> None:
        """A reader sees its part only."""
        reader = Reader("abcdef", 1, 3)
        self.assertEqual((reader.rest(), reader.take_until("f"), reader.peek()), ("bc", "bc", ""))

    def test_blanks(self) -> None:
        """Blanks, tabs and line feeds are skipped, no others."""
        reader = Reader(" \t\n\rx")
        reader.skip_blanks()
        self.assertEqual(reader.peek(), "\r")

    def test_nested(self) -> None:
        """Up to the bracket that matches, which is taken too."""
        reader = Reader("(a(b)c)d", 1)
        inner = reader.take_nested("(", ")")
        self.assertEqual((inner.rest(), reader.rest()), ("a(b)c", "d"))

    def test_never_closed(self) -> None:
        """The error points to the bracket that is open."""
        reader = Reader("x(a(b)", 2)
        error = self.assertRaises(ExpressionError, reader.take_nested, "(", ")")
        self.assertEqual(error.column, 2)

    def test_expect(self) -> None:
        """What must come is taken; the error says what came instead."""
        reader = Reader("ab")
        reader.expect("a", "the beginning")
        self.assertEqual(reader.position, 1)
        error = self.assertRaises(ExpressionError, reader.expect, "x", "the letter")
        self.assertEqual(error.problem, "'x' expected after the letter, not 'b'")
        error = self.assertRaises(ExpressionError, Reader("").expect, "x", "it")
        self.assertEqual(error.problem, "'x' expected after it, not the end")

    def test_column(self) -> None:
        """It counts characters as they were written, not bytes, from 1."""
        text = "é€x\udcffy"
        reader = Reader(as_characters(text))
        reader.position = len("é€x\udcff".encode("utf-8", "surrogateescape"))
        error = reader.error("here")
        self.assertEqual((error.text, error.column, error.problem), (text, 5, "here"))
        self.assertEqual(reader.error("there", 0).column, 1)
