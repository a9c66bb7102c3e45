"""natsroute.kamailio.cfg.buffer"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.cfg.buffer import Buffer
from natsroute.kamailio.cfg.files import File
from natsroute.kamailio.cfg.source import Piece, Position


def at(column: int, line: int = 1) -> Position:
    return Position("k.cfg", line, column)


class BufferTests(SynchronousTestCase):
    """Text that stands in the file, and text that replaces some of it."""

    def setUp(self) -> None:
        self.buffer = Buffer(File("k.cfg", "ab NAME cd\nef"))

    def test_verbatim(self) -> None:
        """Before anything is replaced, an index is one of the file."""
        self.assertEqual(self.buffer.position_at(3), at(4))
        self.assertEqual(self.buffer.pieces(0, 2, "ab"), [Piece("ab", at(1))])

    def test_replaced(self) -> None:
        """What replaces a name stands where the name does, and what follows where it did."""
        self.buffer.index = 3
        self.buffer.replace(7, "NAME", "x yz")
        self.assertEqual((self.buffer.text, self.buffer.index), ("x yz cd\nef", 0))
        self.assertEqual([self.buffer.position_at(index) for index in (0, 3, 4, 8)], [at(4), at(4), at(8), at(1, 2)])
        self.assertEqual(self.buffer.pieces(2, 6, "yz c"), [Piece("yz", at(4), True), Piece(" c", at(8))])

    def test_replaced_twice(self) -> None:
        """A name in a value is replaced, too; all of it stands where the first name does."""
        self.buffer.index = 3
        self.buffer.replace(7, "NAME", "x Y z")
        self.buffer.index = 2
        self.buffer.replace(3, "Y", "long")
        self.assertEqual(self.buffer.text, "long z cd\nef")
        found = [self.buffer.position_at(index) for index in range(len(self.buffer.text))]
        self.assertEqual(found, [at(4)] * 6 + [at(8), at(9), at(10), at(11), at(1, 2), at(2, 2)])

    def test_expanding(self) -> None:
        """A name is being replaced until its value has been read."""
        self.buffer.index = 3
        self.buffer.replace(7, "NAME", "x Y")
        self.assertTrue(self.buffer.is_expanding("NAME"))
        self.buffer.index = 2
        self.buffer.replace(3, "Y", "z")
        self.assertTrue(self.buffer.is_expanding("Y"))
        self.assertTrue(self.buffer.is_expanding("NAME"))
        self.buffer.index = 1
        self.assertFalse(self.buffer.is_expanding("Y"))
        self.assertFalse(self.buffer.is_expanding("NAME"))
