"""Writes log events to a stream, to systemd's journal, or to syslog, in text or JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol

from twisted.logger import ILogObserver, LogEvent, LogLevel
from zope.interface import implementer

from natsroute.monitoring.log_levels import LogLevels
from natsroute.monitoring.log_lines import json_lines, text_lines

LogFormat = Literal["text", "json"]
#: The formats; the first is the default.
LOG_FORMATS: Sequence[LogFormat] = ("text", "json")

#: The priorities of syslog(3), which the journal has, too.
PRIORITIES = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
_INFO = 6


class TextStream(Protocol):
    """What lines are written to: an open text file."""

    def write(self, text: str, /) -> Any:
        """Write the text."""

    def flush(self) -> None:
        """Pass on what was written."""


@implementer(ILogObserver)
class LogObserver:
    """
    Writes the log events that the levels allow. May be called in any thread.

    :param lines: makes the lines of an event, without line ends; none: the event is left out.
    :param write: called with the priority of an event and its lines.
    :param levels: which events are written.
    """

    def __init__(
        self,
        lines: Callable[[LogEvent], Sequence[str]],
        write: Callable[[int, Sequence[str]], object],
        levels: LogLevels,
    ) -> None:
        self._lines = lines
        self._write = write
        self._levels = levels

    def __call__(self, event: LogEvent) -> None:
        if self._levels.allows(event):
            lines = self._lines(event)
            if lines:
                self._write(PRIORITIES.get(event.get("log_level"), _INFO), lines)


def log_observer(
    stream: TextStream, format: LogFormat = "text", levels: LogLevels | Iterable[str] = ()
) -> ILogObserver:
    """
    An observer for Twisted's logger: ``globalLogBeginner.beginLoggingTo([log_observer(sys.stdout, "json")])``.

    If the stream is systemd's journal, each line begins with its priority, as ``<4>``, and text has no time: the
    journal knows it.

    :param stream: where the lines go.
    :param format: ``text``, as twistd writes it, or ``json``: one object a line.
    :param levels: rules such as ``warn`` or ``natsroute.client=debug``. Without one for everything, ``info``.
    :raises SettingError: a rule is malformed.
    """
    levels = levels if isinstance(levels, LogLevels) else LogLevels(levels)
    journal = is_journal(stream, os.environ)
    return LogObserver(_lines_in(format, with_time=not journal), partial(_write, stream, journal), levels)


def syslog_observer(
    write: Callable[[int, str], object], format: LogFormat = "text", levels: LogLevels | Iterable[str] = ()
) -> ILogObserver:
    """
    An observer that writes to syslog, which knows the time.

    :param write: writes a line with a priority, as ``syslog.syslog()``. It is called once for each line.
    :param format: as in :func:`log_observer`; so are the levels.
    """
    levels = levels if isinstance(levels, LogLevels) else LogLevels(levels)

    def write_lines(priority: int, lines: Sequence[str]) -> None:
        for line in lines:
            write(priority, line)

    return LogObserver(_lines_in(format, with_time=False), write_lines, levels)


def is_journal(stream: object, environment: Mapping[str, str]) -> bool:
    """Whether systemd connected a stream to its journal: ``JOURNAL_STREAM`` has its device and inode then."""
    named = environment.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        found = os.fstat(stream.fileno())  # type: ignore[attr-defined]  # or it has none
    except (AttributeError, OSError, ValueError):  # it is no file of the system
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def _lines_in(format: LogFormat, *, with_time: bool) -> Callable[[LogEvent], Sequence[str]]:
    return json_lines if format == "json" else partial(text_lines, with_time=with_time)


def _write(stream: TextStream, journal: bool, priority: int, lines: Sequence[str]) -> None:
    before = f"<{priority}>" if journal else ""
    text = "".join(f"{before}{line}\n" for line in lines)
    try:
        stream.write(text)
    except UnicodeEncodeError as error:  # the locale has another encoding than UTF-8
        stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
    stream.flush()
