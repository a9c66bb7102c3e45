"""The text of a script, which knows the file, line and column of each of its characters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import attrs

from natsroute.errors import ScriptError


@attrs.frozen(order=True)
class Position:
    """
    A place in a file.

    :ivar file: the path of the file.
    :ivar line: from 1.
    :ivar column: from 1, in characters.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def error(self, problem: str, remedy: str) -> ScriptError:
        """
        The exception for a problem here.

        :param problem: what is wrong, without a full stop.
        :param remedy: what to do about it, without a full stop.
        """
        return ScriptError(self.file, self.line, self.column, problem, remedy)


@attrs.frozen
class Piece:
    """
    A part of a script.

    :ivar text: its characters; bytes that are not UTF-8 are surrogate escapes.
    :ivar position: where its first character stands.
    :ivar replaced: the text does not stand there: it is what a ``#!define`` or ``#!subst`` put there. All of its
        characters have the position of the first.
    """

    text: str
    position: Position
    replaced: bool = False


class SourceText:
    """
    A text put together from pieces of files.

    :param pieces: without gaps, in order.

    :ivar text: the whole text.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = [piece for piece in pieces if piece.text]
        self._starts: list[int] = []
        length = 0
        for piece in self._pieces:
            self._starts.append(length)
            length += len(piece.text)
        self.text = "".join(piece.text for piece in self._pieces)

    def __len__(self) -> int:
        return len(self.text)

    def position_at(self, index: int) -> Position:
        """
        Where the character at this index stands. The end of the text is behind its last character.

        :raises IndexError: the text is empty.
        """
        number = max(bisect_right(self._starts, index) - 1, 0)
        piece = self._pieces[number]
        if piece.replaced:
            return piece.position
        before = piece.text[: index - self._starts[number]]
        line, column = piece.position.line, piece.position.column
        newlines = before.count("\n")
        if newlines:
            return Position(piece.position.file, line + newlines, len(before) - before.rindex("\n"))
        return Position(piece.position.file, line, column + len(before))

    def part(self, start: int, end: int) -> SourceText:
        """The text from one index up to another, with the positions of its characters."""
        pieces: list[Piece] = []
        for first, piece in zip(self._starts, self._pieces):
            begin, stop = max(start, first), min(end, first + len(piece.text))
            if begin < stop:
                position = piece.position if begin == first else self.position_at(begin)
                pieces.append(Piece(piece.text[begin - first : stop - first], position, piece.replaced))
        return SourceText(pieces)
