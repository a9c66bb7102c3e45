"""The latest warnings and errors of the log."""

from __future__ import annotations

import threading
from collections import deque

from twisted.application.service import Service
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from natsroute.monitoring.overview import MAX_ERRORS, ErrorRow
from natsroute.text import printable, safe_str

_LEVELS = (LogLevel.warn, LogLevel.error, LogLevel.critical)


@implementer(ILogObserver)
class RecentErrors(Service):
    """
    Keeps the latest warnings and errors while it runs: those of natsroute, and errors that nobody handled.

    Log events come from any thread.
    """

    def __init__(self) -> None:
        self._rows: deque[ErrorRow] = deque(maxlen=MAX_ERRORS)
        self._counts = {level.name: 0 for level in _LEVELS}
        self._lock = threading.Lock()

    def startService(self) -> None:
        """Observe the log."""
        super().startService()
        globalLogPublisher.addObserver(self)

    def stopService(self) -> None:
        """Observe no more; :meth:`rows` stays."""
        super().stopService()
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """Take a log event."""
        level, namespace = event.get("log_level"), str(event.get("log_namespace", ""))
        failure = event.get("log_failure")
        is_ours = namespace == "natsroute" or namespace.startswith("natsroute.")
        if level not in _LEVELS or not (is_ours or isinstance(failure, Failure)):
            return
        text = formatEvent(event)
        if isinstance(failure, Failure):
            what = f"{failure.type.__name__}: {safe_str(failure.value)}" if failure.type else safe_str(failure.value)
            text = f"{text}: {what}" if text else what
        row = ErrorRow(event.get("log_time", 0.0), level.name, printable(namespace, 200), printable(text, 500))
        with self._lock:
            self._rows.append(row)
            self._counts[row.level] += 1

    def rows(self) -> tuple[ErrorRow, ...]:
        """Those that were logged last, the latest first."""
        with self._lock:
            return tuple(reversed(self._rows))

    def counts(self) -> dict[str, int]:
        """How many there were in all, by level."""
        with self._lock:
            return self._counts.copy()
