"""The files of a ``kamailio.cfg``: how they are read, and where ``include_file`` finds one."""

from __future__ import annotations

import os
from bisect import bisect_right

from natsroute.kamailio.cfg.source import Position

MAX_FILE_SIZE = 16 * 1024 * 1024


class File:
    """
    A file that has been read.

    :ivar path: its path.
    :ivar text: its characters; bytes that are not UTF-8 are surrogate escapes. A byte order mark is a blank, since
        Kamailio ignores it.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = " " + text[1:] if text.startswith("\ufeff") else text
        self._lines = [0]
        start = self.text.find("\n")
        while start >= 0:
            self._lines.append(start + 1)
            start = self.text.find("\n", start + 1)

    def position_at(self, index: int) -> Position:
        """Where the character at this index stands."""
        line = bisect_right(self._lines, index)
        return Position(self.path, line, index - self._lines[line - 1] + 1)


def read_file(path: str, position: Position | None = None) -> File:
    """
    Read a file.

    :param path: its path.
    :param position: where it is named, for errors; left out for the first file.
    :raises ScriptError: it cannot be read, is too large, or has a NUL byte.
    """
    where = Position(path, 1, 1) if position is None else position
    name = "it" if position is None else path
    try:
        with open(path, "rb") as opened:
            data = opened.read(MAX_FILE_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise where.error(f"{name} cannot be read: {reason}", "Name a file that natsroute's user can read") from None
    if len(data) > MAX_FILE_SIZE:
        raise where.error(f"{name} has more than {MAX_FILE_SIZE} bytes", "Name a kamailio.cfg")
    found = File(path, data.decode("utf-8", "surrogateescape"))
    nul = found.text.find("\0")
    if nul >= 0:
        raise found.position_at(nul).error("a NUL byte", "Write the file as text")
    return found


def find_included(name: str, including: str) -> str:
    """
    The path of a file that is included: the name as it is, or beside the file that includes it.

    As in Kamailio, a name that is relative to the working directory comes first.

    :param name: the name that ``include_file`` has.
    :param including: the path of the file that includes it.
    """
    beside = os.path.join(os.path.dirname(including), name)
    return name if _can_be_opened(name) else beside


def _can_be_opened(path: str) -> bool:
    return os.access(path, os.R_OK)


def is_missing(path: str) -> bool:
    """Whether there is no such file, so that ``import_file`` passes it over."""
    return not os.path.exists(path)
