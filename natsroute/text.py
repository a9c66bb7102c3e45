"""Received text, made safe to show: in the log, in an error, or in a header."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

#: Characters of a text that are shown.
MAX_TEXT = 2000

_BYTE = re.compile("[\udc80-\udcff]")  # a surrogate escape: a byte that was not UTF-8


def printable(text: str, max_length: int = MAX_TEXT) -> str:
    r"""
    Escape the characters that are not printable, and shorten a long text.

    Line ends, control characters, ESC, bidirectional controls, line separators such as U+2028, and lone surrogates
    become escapes as in Python's source, such as ``\n`` and ``\u2028``. A surrogate escape becomes that of its byte,
    ``\xff``.

    :param max_length: characters of the result, without the note that it was shortened and from how many characters.
    """
    shown = text[:max_length]
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else _escape(char) for char in shown)
    if len(text) > max_length or len(shown) > max_length:
        return f"{shown[:max_length]}... ({len(text)} characters)"
    return shown


def safe_str(value: object) -> str:
    """The text of any object. If the object cannot give it, its type. (Twisted's ``safe_str()`` adds a traceback.)"""
    try:
        return str(value)
    except BaseException as error:  # it may be an exception with a mistake in its __str__
        return f"<{type(value).__name__}, whose text raised {type(error).__name__}>"


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> Iterator[str]:
    """
    The lines of a table: the cells of each column below each other, escaped as :func:`printable` does.

    :param rows: at least one; all have the same number of cells.
    :param right: the columns that are aligned at their right end, counted from 0.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown)]
    for row in shown:
        cells = (
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths))
        )
        yield "  ".join(cells).rstrip()


def _escape(char: str) -> str:
    return f"\\x{ord(char) - 0xDC00:02x}" if _BYTE.match(char) else repr(char)[1:-1]
