"""natsroute.kamailio.cfg.source"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.source import Piece, Position, SourceText


def position(line: int, column: int, file: str = "k.cfg") -> Position:
    return Position(file, line, column)


class SourceTextTests(SynchronousTestCase):
    """Each character has its position."""

    def setUp(self) -> None:
        self.source = SourceText(
            [
                Piece("ab\ncd ", position(3, 5)),
                Piece("", position(9, 9)),
                Piece("x\nyz", position(4, 4), replaced=True),
                Piece(" e\n", position(4, 8)),
                Piece("included", position(1, 1, "other.cfg")),
            ]
        )

    def test_text(self) -> None:
        """The text is that of the pieces."""
        self.assertEqual(self.source.text, "ab\ncd x\nyz e\nincluded")
        self.assertEqual(len(self.source), 21)

    def test_position_of_each_character(self) -> None:
        """Those of a replacement are all where it was put; the end is behind the last one."""
        found = [self.source.position_at(index) for index in range(len(self.source) + 1)]
        self.assertEqual(
            found[:6], [position(3, 5), position(3, 6), position(3, 7), *(position(4, n) for n in (1, 2, 3))]
        )
        self.assertEqual(found[6:10], [position(4, 4)] * 4)
        self.assertEqual(found[10:13], [position(4, 8), position(4, 9), position(4, 10)])
        self.assertEqual(found[13:], [position(1, n, "other.cfg") for n in range(1, 10)])

    def test_parts(self) -> None:
        """Each part has the same text and positions as the whole."""
        for start in range(len(self.source)):
            for end in range(start + 1, len(self.source) + 1):
                part = self.source.part(start, end)
                self.assertEqual(part.text, self.source.text[start:end])
                self.assertEqual(
                    [part.position_at(index) for index in range(len(part))],
                    [self.source.position_at(index) for index in range(start, end)],
                )

    def test_empty(self) -> None:
        """An empty text has no position."""
        with self.assertRaises(IndexError):
            SourceText([]).position_at(0)


class PositionTests(SynchronousTestCase):
    """A position names itself in errors."""

    def test_error(self) -> None:
        """Its error has everything as attributes, too."""
        error = position(2, 7).error("no semicolon", "Write one")
        self.assertIsInstance(error, ScriptError)
        self.assertEqual(str(error), "k.cfg:2:7: no semicolon. Write one")
        self.assertEqual((error.file, error.line, error.column), ("k.cfg", 2, 7))
        self.assertEqual((error.problem, error.remedy), ("no semicolon", "Write one"))
