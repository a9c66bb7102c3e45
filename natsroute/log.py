"""
The logger of natsroute: whatever was received, the log shows it escaped and shortened.

Subjects, errors of servers and exceptions of routes are text that somebody else chose. With ESC in it, such a text can
control a terminal; with a line end, it can forge a line; and a lone surrogate cannot be written to a file in UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.python.failure import Failure

from natsroute.text import MAX_TEXT, printable, safe_str
from twisted import logger

#: Lines of a traceback that are shown: the first and the last.
MAX_TRACEBACK_LINES = 100


class Logger(logger.Logger):
    """
    Twisted's logger, with fields that are safe to show.

    Numbers, booleans and None stay as they are. Anything else becomes :class:`PrintableText`; all texts of one event
    together have about ``MAX_TEXT`` characters at most. The message of a failure is escaped and shortened, too.

    Every module of natsroute logs through this class. The format must be a constant.
    """

    def emit(self, level: Any, format: str | None = None, **kwargs: object) -> None:
        """
        Emit a log event; see :class:`twisted.logger.Logger`.

        :param level: a :class:`twisted.logger.LogLevel`, whose library has no types.
        """
        failure = kwargs.get("log_failure")
        if isinstance(failure, Failure):
            kwargs["log_failure"] = PrintableFailure(failure)
        super().emit(level, format, **{**kwargs, **_printable_fields(kwargs)})


class PrintableText(str):
    """
    Text without characters that are not printable.

    ``repr`` puts quotes around it, and does not escape the backslashes of the escapes again.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        quote = '"' if "'" in self and '"' not in self else "'"
        return quote + self.replace(quote, "\\" + quote) + quote


class PrintableFailure(Failure):
    """
    A failure whose traceback is safe to show. Type, value and frames are those of the original.
    """

    def __init__(self, failure: Failure) -> None:
        self.__dict__.update(failure.__dict__)

    def getErrorMessage(self) -> str:
        """The message of the exception, escaped and shortened."""
        return printable(super().getErrorMessage())

    def getTraceback(self, elideFrameworkCode: int = 0, detail: str = "default") -> str:  # noqa: N803 - Twisted's
        """The traceback with the message of the exception in one line, and not more than ``MAX_TRACEBACK_LINES``."""
        shown = Failure.__new__(Failure)
        shown.__dict__.update(self.__dict__, value=PrintableText(printable(safe_str(self.value))))
        lines = shown.getTraceback(elideFrameworkCode, detail).splitlines()
        half = MAX_TRACEBACK_LINES // 2
        if len(lines) > MAX_TRACEBACK_LINES:
            lines[half:-half] = [f"  ... {len(lines) - 2 * half} more lines"]
        return "".join(f"{printable(line)}\n" for line in lines)


def _printable_fields(fields: Mapping[str, object]) -> dict[str, PrintableText]:
    texts = {
        name: value if isinstance(value, str) else safe_str(value)
        for name, value in fields.items()
        if not (name.startswith("log_") or value is None or isinstance(value, (int, float)))
    }
    shown = {name: printable(text) for name, text in texts.items()}
    if len(texts) > 1 and sum(map(len, shown.values())) > MAX_TEXT:
        shown = {name: printable(text, MAX_TEXT // len(texts)) for name, text in texts.items()}
    return {name: PrintableText(text) for name, text in shown.items()}
