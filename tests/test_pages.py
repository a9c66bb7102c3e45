"""natsroute.console.pages"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.console.pages import Cell, Style, Table, count_of_bad, duration, duration_text, number


class CellTests(SynchronousTestCase):
    """Cells with numbers and times."""

    def test_duration(self) -> None:
        for seconds, text in [
            (-1.0, "0.0 ms"),
            (0.00123, "1.2 ms"),
            (0.5, "500 ms"),
            (2.54, "2.5 s"),
            (75, "1 min 15 s"),
            (3_700, "1 h 1 min"),
            (90_000, "25 h 0 min"),
            (200_000, "2 d 7 h"),
        ]:
            self.assertEqual(duration_text(seconds), text)
        self.assertEqual(duration(None).text, "-")

    def test_number(self) -> None:
        self.assertEqual(number(1_234_567).text, "1,234,567")
        self.assertEqual(number(1234.56).text, "1,234.6")
        self.assertEqual((count_of_bad(0).style, count_of_bad(1).style), (Style.PLAIN, Style.BAD))

    def test_right(self) -> None:
        """A column with numbers."""
        self.assertEqual(Table("", ("a", "b"), ((Cell("x"), number(1)), (Cell("y"), Cell("-")))).right, {1})
