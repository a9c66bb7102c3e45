"""
The log of a process that belongs to natsroute, in the format and with the levels of the settings.

twistd decides where a log goes: to standard output, a file, or syslog. It is the same here. With ``--logger``, twistd
uses the observer of that function instead, and nothing here has an effect.
"""

from __future__ import annotations

import os
import signal
import sys
import syslog
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.logger import ILogObserver, globalLogBeginner
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from twisted.python.usage import UsageError
from twisted.scripts._twistd_unix import ServerOptions

from natsroute.daemon.settings.settings import Settings
from natsroute.log import Logger
from natsroute.monitoring.log_levels import LogLevels
from natsroute.monitoring.log_observer import log_observer, syslog_observer


def log_warnings(stream: Any) -> None:
    """Log warnings and errors to a stream, in text, for a command that is no service."""
    globalLogBeginner.beginLoggingTo([log_observer(stream, "text", LogLevels(("warn",)))], redirectStandardIO=False)


class ProcessLog:
    """
    Makes the observer that twistd uses for the process: it takes that of the application, if there is one.

    :param settings: ``log_format`` and ``log_level``.
    :param twistd: the options of twistd, such as ``logfile``.

    :ivar levels: which events are written. May be changed while the process runs.
    """

    def __init__(self, settings: Settings, twistd: Mapping[str, Any]) -> None:
        self.levels = LogLevels(settings.log_level)
        self._format = settings.log_format
        self._twistd = twistd

    @property
    def is_used(self) -> bool:
        """Whether twistd uses this log: it does not if it has a ``--logger``."""
        return not self._twistd.get("logger")

    def join(self, application: Any) -> None:
        """Be the log of an application that is not started yet, unless it has one, or twistd has a ``--logger``."""
        if self.is_used and isinstance(application, Componentized) and application.getComponent(ILogObserver) is None:
            application.setComponent(ILogObserver, self.observer())

    def observer(self) -> ILogObserver:
        """
        The observer. Opens the log file, and rotates or reopens it at SIGUSR1, if it goes to one.

        :raises SystemExit: it would go to standard output, and twistd detaches the process from that.
        """
        if self._twistd.get("syslog"):
            syslog.openlog(self._twistd.get("prefix") or "", 0, syslog.LOG_USER)
            return syslog_observer(syslog.syslog, self._format, self.levels)
        name, stays = self._twistd.get("logfile"), self._twistd.get("nodaemon")
        if name == "-" and not stays:
            raise SystemExit("Daemons cannot log to stdout, exiting!")
        if name == "-" or (stays and not name):
            return log_observer(sys.stdout, self._format, self.levels)
        file = ProcessLogFile.fromFullPath(name or "twistd.log")
        if not signal.getsignal(signal.SIGUSR1):  # nobody else handles it
            signal.signal(signal.SIGUSR1, _in_reactor(file.rotate_or_reopen))
        return log_observer(file, self._format, self.levels)


class ProcessLogFile(LogFile):
    """
    A log file that SIGUSR1 rotates, or reopens if another program has moved it.

    Lines are appended to what the file is at that moment, so that another program may also copy and truncate it. It is
    not rotated by its size.
    """

    log = Logger()

    def __init__(self, name: str, directory: str) -> None:
        super().__init__(name, directory, rotateLength=None)

    def _openFile(self) -> None:
        super()._openFile()
        self._file.close()
        self._file = open(self.path, "ab", 0)  # noqa: SIM115 - it stays open

    @property
    def moved(self) -> bool:
        """Whether the path does not lead to this file any more."""
        try:
            now = os.stat(self.path)
        except OSError:
            return True
        return not os.path.samestat(now, os.fstat(self._file.fileno()))

    def rotate_or_reopen(self) -> None:
        """Begin a new file. If that is impossible, go on with the old one, and log why."""
        if not self.moved:
            self.rotate()
            return
        try:
            open(self.path, "ab").close()
        except OSError as error:
            self.log.error("The log file cannot be opened again: {reason}", reason=error)
        else:
            self.reopen()


def twistd_options(arguments: Sequence[str]) -> Mapping[str, Any]:
    """
    The options with which twistd was started, for an application that it loads from a file.

    :param arguments: the command line of the process, as ``sys.argv``.
    :return: without ``logfile`` and the like if the program is another one than twistd.
    """
    options = _TwistdOptions()
    try:
        options.parseOptions(arguments[1:])
    except (UsageError, SystemExit):
        return {"nodaemon": True}
    return options


class _TwistdOptions(ServerOptions):
    """Without the options that have an effect at once, because twistd has had that by now."""

    def opt_reactor(self, name: str) -> None:
        """Do nothing."""

    def opt_spew(self) -> None:
        """Do nothing."""

    def opt_debug(self) -> None:
        """Do nothing."""

    opt_r, opt_b = opt_reactor, opt_debug


def _in_reactor(function: Callable[[], object]) -> Callable[[int, object], None]:
    def handler(number: int, frame: object) -> None:
        from twisted.internet import reactor

        running: Any = reactor
        running.callFromThread(function)

    return handler
