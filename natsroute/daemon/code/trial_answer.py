"""What the process of a trial says: its answer, and what the code printed."""

from __future__ import annotations

import json

from natsroute.text import printable

#: Bytes that are kept of what the process writes: of its answer, and of the end of what it says otherwise.
MAX_ANSWER, MAX_ERRORS = 64 * 1024, 4096


class TrialAnswer:
    """
    Collects what the process writes.

    :param code: names the code.
    """

    def __init__(self, code: str) -> None:
        self._code = code
        self._answer = self._errors = b""

    def add_answer(self, data: bytes) -> None:
        """The process wrote this to its standard output."""
        self._answer = (self._answer + data)[:MAX_ANSWER]

    def add_errors(self, data: bytes) -> None:
        """The process wrote this to its standard error, where also goes what the code prints."""
        self._errors = (self._errors + data)[-MAX_ERRORS:]

    @property
    def printed(self) -> list[str]:
        """The last lines that the process wrote besides its answer, escaped."""
        return [printable(line) for line in self._errors.decode("utf-8", "surrogateescape").strip().splitlines()]

    def problem(self, ending: object) -> str | None:
        """
        Why the code cannot be used; None if it can.

        :param ending: how the process ended.
        """
        try:
            found: str | None = json.loads(self._answer)
        except ValueError:
            printed = self.printed
            said = f": {printed[-1]}" if printed else ""
            return f"{self._code}: it ended the process that it was tried in ({ending}){said}"
        return found
