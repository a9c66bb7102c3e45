"""A cursor over the text of an expression, which the compiler and its parts share."""

from __future__ import annotations

from natsroute.errors import ExpressionError

#: What Kamailio skips between the parts of an expression.
BLANKS = " \t\n"


def as_characters(text: str) -> str:
    """
    The UTF-8 bytes of a text, each as one character: Kamailio's expressions are bytes.

    :param text: it may hold surrogate escapes for bytes that are not UTF-8.
    """
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def as_bytes(characters: str) -> bytes:
    """The bytes that stand behind what :func:`as_characters` gave."""
    return characters.encode("latin-1")


class Reader:
    """
    A cursor over a part of an expression.

    :ivar source: the whole expression, a character for each byte.
    :ivar position: the index of the next character.
    :ivar end: the index behind the last character of this part.
    """

    __slots__ = ("end", "position", "source")

    def __init__(self, source: str, position: int = 0, end: int | None = None) -> None:
        self.source = source
        self.position = position
        self.end = len(source) if end is None else end

    def peek(self) -> str:
        """The next character, or "" at the end."""
        return self.source[self.position] if self.position < self.end else ""

    def take(self) -> str:
        """The next character, and move behind it; "" at the end."""
        character = self.peek()
        self.position += len(character)
        return character

    def skip_blanks(self) -> None:
        """Move behind blanks."""
        while self.position < self.end and self.source[self.position] in BLANKS:
            self.position += 1

    def take_until(self, stops: str) -> str:
        """What comes before the first of these characters, or before the end."""
        start = self.position
        while self.position < self.end and self.source[self.position] not in stops:
            self.position += 1
        return self.source[start : self.position]

    def take_nested(self, opening: str, closing: str) -> Reader:
        """
        The part up to the closing bracket that matches the opening one just taken; move behind that bracket.

        :raises ExpressionError: the bracket is never closed.
        """
        start, depth = self.position, 0
        while self.position < self.end:
            character = self.source[self.position]
            self.position += 1
            if character == opening:
                depth += 1
            elif character == closing:
                if depth == 0:
                    return Reader(self.source, start, self.position - 1)
                depth -= 1
        raise self.error(f"{opening!r} is never closed by {closing!r}", start - 1)

    def expect(self, character: str, after: str) -> None:
        """
        Move behind a character that must come next.

        :param after: what it ends, for the error.
        :raises ExpressionError: another comes.
        """
        if self.peek() != character:
            raise self.error(f"{character!r} expected after {after}, not {self._found()}")
        self.position += 1

    def rest(self) -> str:
        """All that is left of this part, without moving."""
        return self.source[self.position : self.end]

    def error(self, problem: str, position: int | None = None) -> ExpressionError:
        """
        The exception for a problem.

        :param position: the index of the character at fault; the next one, if left out.
        """
        before = self.source[: self.position if position is None else position]
        column = len(as_bytes(before).decode("utf-8", "surrogateescape")) + 1
        return ExpressionError(as_bytes(self.source).decode("utf-8", "surrogateescape"), column, problem)

    def _found(self) -> str:
        return repr(self.peek()) if self.peek() else "the end"
