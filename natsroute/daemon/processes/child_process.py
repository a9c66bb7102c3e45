"""A child process, as the parent sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from natsroute.admin.client import AdminClient
from natsroute.daemon.processes.lifeline import LIFELINE, REPORT, SKIP_DRAIN, STOP
from natsroute.daemon.processes.log_relay import emit_again
from natsroute.daemon.processes.role import Role
from natsroute.daemon.processes.run import Exit
from natsroute.log import Logger

#: The descriptor on which a child process sends its log, and says that it is ready.
NEWS = 3
#: What it sends when it is ready.
READY = b"ready"

#: Bytes of a line that are kept in one piece.
MAX_LINE = 1024 * 1024

#: Seconds after the end of a process in which what it has written is read. Processes that it has started may hold its
#: pipes open for longer.
_LAST_WORDS = 0.2

#: The module that runs in a child process.
_PROGRAM = "natsroute.daemon.processes.child_program"


class ChildProcess(ProcessProtocol):
    """
    A child process. It waits for its role, and loads nothing of the user's before it has one.

    :ivar number: its number; 0 before it has a role.
    :ivar pid: the process.

    :param reactor: starts it.
    :param environment: its variables.
    :param folder: its working directory at first.
    :raises OSError: the system cannot start a process.
    """

    log = Logger()
    _output = {1: Logger(namespace="stdout"), 2: Logger(namespace="stderr")}

    transport: IProcessTransport

    def __init__(self, reactor: Any, environment: Mapping[str, str], folder: str) -> None:
        self.number = 0
        self.pid = 0
        self._reactor = reactor
        self._socket = ""
        self._rest = {1: b"", 2: b"", NEWS: b""}
        self._exit: Exit | None = None
        self._on_ready: Callable[[], object] = lambda: None
        self._on_ended: Callable[[Exit], object] = lambda ended: None
        self._told_end = False
        self._listens = True
        reactor.spawnProcess(
            self,
            sys.executable,
            [sys.executable, "-m", _PROGRAM],
            env=dict(environment),
            path=folder,
            childFDs={LIFELINE: "w", 1: "r", 2: "r", NEWS: "r"},
        )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._exit is None

    def assign(self, role: Role, on_ready: Callable[[], object], on_ended: Callable[[Exit], object]) -> None:
        """
        Give it its role, once. It starts to work.

        :param on_ready: called when it is ready.
        :param on_ended: called when it has ended.
        """
        self.number, self._socket = role.number, role.socket
        self._on_ready, self._on_ended = on_ready, on_ended
        self._tell(role.to_line())

    def stop(self) -> None:
        """Ask it to drain and end. Without a role, it ends at once."""
        self._tell(STOP)

    def skip_drain(self) -> None:
        """Ask it to end without draining."""
        self._tell(SKIP_DRAIN)

    def report(self) -> None:
        """Ask it to log its report."""
        self._tell(REPORT)

    def discard(self) -> None:
        """End it, if it has no role."""
        if self._listens:
            self._listens = False
            self.transport.closeStdin()

    def call(self, method: str, params: Mapping[str, Any], timeout: float) -> Deferred[Any]:
        """Call an admin method of it. Fails with an :class:`~natsroute.admin.errors.AdminError`."""
        return AdminClient(self._reactor, self._socket).call(method, params, timeout=timeout)

    def kill(self) -> None:
        """Kill it."""
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    def _tell(self, line: bytes) -> None:
        if self._listens:
            self.transport.writeToChild(LIFELINE, line)

    def connectionMade(self) -> None:
        self.pid = int(self.transport.pid or 0)

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        *lines, rest = (self._rest[descriptor] + data).split(b"\n")
        if len(rest) > MAX_LINE:
            lines.append(rest)
            rest = b""
        self._rest[descriptor] = rest
        for line in lines:
            self._line(descriptor, line)

    def childConnectionLost(self, descriptor: int) -> None:
        if descriptor == LIFELINE:
            self._listens = False
            return
        rest, self._rest[descriptor] = self._rest[descriptor], b""
        if rest:
            self._line(descriptor, rest)

    def processExited(self, reason: Failure) -> None:
        self._listens = False
        code, number = getattr(reason.value, "exitCode", None), getattr(reason.value, "signal", None)
        self._exit = Exit(code, number)
        self._reactor.callLater(_LAST_WORDS, self._tell_end)

    def processEnded(self, reason: Failure) -> None:
        self._tell_end()

    def _tell_end(self) -> None:
        if not self._told_end and self._exit is not None:
            self._told_end = True
            self._on_ended(self._exit)

    def _line(self, descriptor: int, line: bytes) -> None:
        if descriptor != NEWS:
            log, text = self._output[descriptor], line.decode("utf-8", "backslashreplace").rstrip("\r")
            emit = log.info if descriptor == 1 else log.error
            emit("process {process}: {text}", process=self.number, text=text)
        elif line == READY:
            self._on_ready()
        else:
            try:
                emit_again(line, self.number)
            except ValueError:
                self.log.warn("Process {number} has sent a line that is no event of a log", number=self.number)
