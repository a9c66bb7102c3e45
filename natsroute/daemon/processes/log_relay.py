"""
The log of a child process, which becomes a part of the parent's log.

The child sends each event of its log as a line of JSON. The parent emits it again, so that it gets the parent's format
and goes to the parent's file, with the number of the process in front of its text and as its field ``process``.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import (
    ILogObserver,
    LogLevel,
    eventAsJSON,
    eventFromJSON,
    formatEvent,
    globalLogBeginner,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from natsroute.log import PrintableFailure
from natsroute.monitoring.log_levels import LogLevels
from natsroute.text import MAX_TEXT, printable, safe_str

#: Fields that are not sent: objects of the process, and what Twisted's older log puts into an event in addition.
_OWN = ("log_logger", "log_source", "log_trace", "message", "format", "isError", "why", "failure", "time", "system")


class RelayedFailure(PrintableFailure):
    """
    A failure of another process: its traceback is a text, which that process has made safe to show.

    :param name: the name of the exception's class.
    :param module: the module of that class.
    :param message: the message of the exception.
    :param traceback: the traceback, with the message.
    """

    def __init__(self, name: str, module: str, message: str, traceback: str) -> None:
        kind = type(name, (Exception,), {"__module__": module})
        super().__init__(Failure(kind(message), kind))
        self._traceback = traceback

    def getTraceback(self, elideFrameworkCode: int = 0, detail: str = "default") -> str:  # noqa: N803 - Twisted's
        """The traceback as the other process has formatted it."""
        return self._traceback


def event_line(event: dict[str, Any]) -> bytes:
    """An event of the log as a line. It never fails: what is not JSON is shown as text."""
    sent = {name: value for name, value in event.items() if name not in _OWN and name != "log_failure"}
    text = safe_str(formatEvent(event))
    if not text.startswith("Unable to format event"):  # then eventAsJSON() may be able to
        # The text, and not its format: Twisted's JSON forgets how numbers are to be formatted.
        sent["log_format"] = text.replace("{", "{{").replace("}", "}}")
    failed: dict[str, Any] = {}
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        failed["failed"] = {
            "name": getattr(failure.type, "__name__", "Exception"),
            "module": getattr(failure.type, "__module__", ""),
            "message": failure.getErrorMessage(),
            "traceback": PrintableFailure(failure).getTraceback(),
        }
    try:
        return eventAsJSON({**sent, **failed}).encode("ascii") + b"\n"
    except (LookupError, TypeError, ValueError, RecursionError):  # such as a field in a circle, or one that is missing
        plain = {
            "log_time": event.get("log_time", 0.0),
            "log_namespace": str(event.get("log_namespace", "")),
            "log_format": "{text}",
            "log_level": event.get("log_level") or LogLevel.info,
            "text": printable(safe_str(formatEvent(event)), MAX_TEXT),
            **failed,
        }
        return eventAsJSON(plain).encode("ascii") + b"\n"


def event_of_line(line: bytes, number: int) -> dict[str, Any]:
    """
    Undo :func:`event_line`, in the parent.

    :param number: the number of the child process.
    :raises ValueError: it is no event.
    """
    event = eventFromJSON(line.decode("ascii"))
    if not isinstance(event, dict):
        raise ValueError("it is no event")
    failed = event.pop("failed", None)
    if failed is not None:
        try:
            event["log_failure"] = RelayedFailure(**failed)
        except TypeError as error:  # other fields, of another version of natsroute
            raise ValueError("it has a failure that cannot be read") from error
    event["log_format"] = f"process {number}: {event.get('log_format') or ''}"
    event.setdefault("log_level", LogLevel.info)
    event["process"] = number
    return event


@implementer(ILogObserver)
class LogSender:
    """
    Sends the log of this process to the parent. Any thread may call it.

    When the parent is gone, the log has nowhere to go, and is dropped.

    :param descriptor: the pipe to the parent, which blocks when it is full.
    """

    def __init__(self, descriptor: int, write: Callable[[int, memoryview], int] = os.write) -> None:
        self._descriptor = descriptor
        self._write = write
        self._levels = LogLevels()
        self._lock = threading.RLock()  # a signal handler that logs may interrupt its thread while that holds it
        self._lines: deque[bytes] = deque()
        self._sending = False

    def __call__(self, event: dict[str, Any]) -> None:
        """Send an event of the log, if its level is high enough."""
        if self._levels.allows(event):
            self.send(event_line(event))

    def use(self, levels: LogLevels) -> None:
        """Send what these levels allow from now on. Before that, it is what is at least ``info``."""
        self._levels = levels

    def send(self, line: bytes) -> None:
        """Send a line. If a signal handler calls this while its thread sends one, the line follows that one."""
        with self._lock:
            self._lines.append(line)
            while self._lines and not self._sending:
                self._sending = True
                try:
                    self._write_lines()
                finally:
                    self._sending = False

    def _write_lines(self) -> None:
        while self._lines:
            rest = memoryview(self._lines.popleft())
            try:
                while rest:
                    rest = rest[self._write(self._descriptor, rest) :]
            except OSError:
                pass

    def begin(self) -> None:
        """Send all that is logged from now on, and what is printed, which becomes lines of the log as in twistd."""
        globalLogBeginner.beginLoggingTo([self], redirectStandardIO=True)


def emit_again(line: bytes, number: int) -> None:
    """
    Emit an event of a child process in the parent.

    :raises ValueError: it is no event.
    """
    globalLogPublisher(event_of_line(line, number))
