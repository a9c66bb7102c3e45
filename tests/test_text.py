"""natsroute.text"""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.text import MAX_TEXT, aligned, printable, safe_str


class PrintableTests(SynchronousTestCase):
    """Text that is safe to show."""

    def test_what_is_printable_stays(self) -> None:
        for text in ("", "a b", "grüße, 日本語, \U0001f600", "{x}%s\\n'\""):
            self.assertEqual(printable(text), text)

    def test_escapes(self) -> None:
        for text, expected in (
            ("a\r\n\tb", r"a\r\n\tb"),
            ("\x1b[31m\0\x7f\x85\xa0", r"\x1b[31m\x00\x7f\x85\xa0"),
            ("\u2028\u2029\u202e\u2066\ufeff\U000e0001", r"\u2028\u2029\u202e\u2066\ufeff\U000e0001"),
            (b"a\xff\x80b".decode("utf-8", "surrogateescape"), r"a\xff\x80b"),
            ("\ud800\udc7f", r"\ud800\udc7f"),
        ):
            self.assertEqual(printable(text), expected)

    def test_long_texts(self) -> None:
        """The note says how long the text was."""
        self.assertEqual(printable("x" * MAX_TEXT), "x" * MAX_TEXT)
        self.assertEqual(printable("x" * 11, 10), "xxxxxxxxxx... (11 characters)")
        self.assertEqual(printable("\x1b" * 10, 10), r"\x1b\x1b\x... (10 characters)")

    def test_a_very_long_text_is_cheap(self) -> None:
        text = "\x1b" * 50_000_000
        started = time.thread_time()
        self.assertEqual(len(printable(text)), MAX_TEXT + len("... (50000000 characters)"))
        self.assertLess(time.thread_time() - started, 5)  # it takes 1 ms; all characters, 20 s

    @given(st.text(st.characters(exclude_categories=())), st.integers(1, 50))
    def test_any_text(self, text: str, max_length: int) -> None:
        shown = printable(text, max_length)
        self.assertTrue(shown.isprintable(), ascii(shown))
        self.assertLessEqual(len(shown), max_length + len("... (50 characters)") + 10)
        shown.encode()


class TextOfTests(SynchronousTestCase):
    """The text of any object."""

    def test_objects(self) -> None:
        self.assertEqual([safe_str("a"), safe_str(3), safe_str(ValueError("x"))], ["a", "3", "x"])

    def test_an_object_without_a_text(self) -> None:
        class BrokenError(Exception):
            def __str__(self) -> str:
                raise SystemExit

        self.assertEqual(safe_str(BrokenError()), "<BrokenError, whose text raised SystemExit>")


class AlignedTests(SynchronousTestCase):
    """Rows of a table as lines."""

    def test_columns(self) -> None:
        rows = [["name", "count", "x"], ["a", "1", ""], ["long", "1,234", "y\x1b"]]
        self.assertEqual(list(aligned(rows)), ["name  count  x", "a     1", "long  1,234  y\\x1b"])
        self.assertEqual(list(aligned(rows, {1}))[1:], ["a         1", "long  1,234  y\\x1b"])
