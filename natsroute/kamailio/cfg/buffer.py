"""A file that is being read, with what ``#!define`` put in front of the rest of it."""

from __future__ import annotations

from natsroute.kamailio.cfg.files import File
from natsroute.kamailio.cfg.source import Piece, Position


class Buffer:
    """
    What is still to be read of one file.

    :ivar text: what is read. It begins with what replaced an identifier, if there is anything left of that.
    :ivar index: the next character in it.
    """

    def __init__(self, file: File) -> None:
        self.file = file
        self.text = file.text
        self.index = 0
        self._replaced = 0  # characters at the beginning that do not stand in the file
        self._replaced_at = Position(file.path, 1, 1)
        self._offset = 0  # in the file, of the first character that does stand there
        self._expanding: list[tuple[str, int]] = []  # names, and how much is left when their values are read

    def position_at(self, index: int) -> Position:
        """Where the character at this index of the text stands."""
        if index < self._replaced:
            return self._replaced_at
        return self.file.position_at(self._offset + index - self._replaced)

    def pieces(self, start: int, end: int, text: str) -> list[Piece]:
        """
        Pieces of a token.

        :param text: what they say: as many characters as there are from the start to the end.
        """
        split = min(max(self._replaced - start, 0), end - start)
        pieces = [Piece(text[:split], self._replaced_at, replaced=True)] if split else []
        if split < end - start:
            pieces.append(Piece(text[split:], self.position_at(start + split)))
        return pieces

    def is_expanding(self, name: str) -> bool:
        """Whether the next character is a part of what replaced this name."""
        left = len(self.text) - self.index
        while self._expanding and self._expanding[-1][1] >= left:
            self._expanding.pop()
        return any(one == name for one, _ in self._expanding)

    def replace(self, end: int, name: str, value: str) -> None:
        """Replace an identifier, from the next character up to an index of the text. Its value is read next."""
        self._replaced_at = self.position_at(self.index)
        self._offset += max(end - self._replaced, 0)
        self._replaced = len(value) + max(self._replaced - end, 0)
        self.text = value + self.text[end:]
        self.index = 0
        self._expanding.append((name, len(self.text) - len(value)))
