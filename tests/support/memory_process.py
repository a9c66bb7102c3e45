"""A reactor whose processes exist in memory only: the test says what they write and when they end."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure


class MemoryProcess:
    """
    One process, and the transport of its protocol.

    :ivar command: what was started.
    :ivar pid: its number, from 1.
    :ivar options: how it was started: ``env``, ``path`` and so on.
    :ivar stdin_closed: whether the protocol has closed standard input.
    :ivar written: what the protocol has written to standard input.
    :ivar signals: the signals that it was sent, such as ``"KILL"``.
    """

    def __init__(self, protocol: Any, command: Sequence[str], pid: int = 1, **options: Any) -> None:
        self.command = list(command)
        self.pid = pid
        self.options = options
        self.stdin_closed = False
        self.written = b""
        self.signals: list[str] = []
        self._protocol = protocol
        self._ended = False
        protocol.makeConnection(self)

    def closeStdin(self) -> None:
        self.stdin_closed = True

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        assert descriptor == 0
        self.written += data

    def signalProcess(self, name: str) -> None:
        if self._ended:
            raise ProcessExitedAlready
        self.signals.append(name)

    def write(self, descriptor: int, data: bytes) -> None:
        """The process writes."""
        self._protocol.childDataReceived(descriptor, data)

    def exit(self, code: int | None = 0, signal: int | None = None) -> None:
        """The process exits. Others may hold its pipes, so :meth:`end` may follow later."""
        self._ended = True
        for descriptor in (0, 1, 2, 3):
            self._protocol.childConnectionLost(descriptor)
        error = ProcessDone(None) if code == 0 else ProcessTerminated(code, signal)
        self._protocol.processExited(Failure(error))

    def write_error(self, data: bytes) -> None:
        """The process writes to standard error."""
        self._protocol.childDataReceived(2, data)

    def end(self, exit_code: int = 0) -> None:
        """The process ends."""
        self._ended = True
        self._protocol.processEnded(Failure(ProcessTerminated(exit_code)))


class MemoryProcessReactor(Clock):
    """
    Starts processes in memory. Time passes when the test says so.

    :ivar processes: all of them, the newest last.
    :ivar refuses: whether no process can be started.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False
        self.processes: list[MemoryProcess] = []

    def spawnProcess(
        self, protocol: Any, executable: str, args: Sequence[str] = (), env: Any = None, **options: Any
    ) -> MemoryProcess:
        if self.refuses:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        self.processes.append(MemoryProcess(protocol, args, len(self.processes) + 1, env=env, **options))
        return self.processes[-1]
