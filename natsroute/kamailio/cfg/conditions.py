"""The open ``#!ifdef``, ``#!ifndef`` and ``#!ifexp`` of a ``kamailio.cfg``."""

from __future__ import annotations

from natsroute.kamailio.cfg.source import Position


class Conditions:
    """
    A stack of conditions. They may be opened in one file and closed in another, as in Kamailio.

    :ivar skipping: one of them does not hold, and what stands there is skipped.
    """

    def __init__(self) -> None:
        self._open: list[tuple[Position, str]] = []
        self._hold: list[bool] = []
        self._in_comment: Position | None = None
        self.skipping = False

    def open(self, holds: bool, position: Position, directive: str) -> None:
        """
        A condition begins.

        :param directive: how it is written, such as ``#!ifdef WITH_TLS``.
        """
        self._open.append((position, directive))
        self._hold.append(holds)
        self.skipping = not all(self._hold)

    def otherwise(self) -> bool:
        """``#!else``. False if there is no condition open: Kamailio passes over it then."""
        if not self._open:
            return False
        self._hold[-1] = not self._hold[-1]
        self.skipping = not all(self._hold)
        return True

    def close(self, position: Position) -> None:
        """
        ``#!endif``.

        :raises ScriptError: there is no condition open.
        """
        if not self._open:
            raise position.error("#!endif without #!ifdef", "Remove it, or write the #!ifdef")
        self._open.pop()
        self._hold.pop()
        self.skipping = not all(self._hold)

    def saw_in_comment(self, position: Position) -> None:
        """There is an ``#!else`` or ``#!endif`` with something behind it, which Kamailio takes for a comment."""
        self._in_comment = self._in_comment or position

    def check_closed(self) -> None:
        """
        The last file ends.

        :raises ScriptError: a condition is still open.
        """
        if not self._open:
            return
        position, directive = self._open[-1]
        remedy = "Write the #!endif on a line of its own, with a line end behind it"
        if self._in_comment is not None:
            remedy += f"; what stands at {self._in_comment} counts as a comment, because more follows on its line"
        raise position.error(f"{directive} is never closed by #!endif", remedy)
