"""A reactor whose processes exist in memory only: the test says what they write and when they end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure


class MemoryProcess:
    """
    One process, and the transport of its protocol.

    :ivar command: what was started.
    :ivar stdin_closed: whether the protocol has closed standard input.
    """

    def __init__(self, protocol: Any, command: Sequence[str]) -> None:
        self.command = list(command)
        self.stdin_closed = False
        self._protocol = protocol
        protocol.makeConnection(self)

    def closeStdin(self) -> None:
        self.stdin_closed = True

    def write_error(self, data: bytes) -> None:
        """The process writes to standard error."""
        self._protocol.childDataReceived(2, data)

    def end(self, exit_code: int = 0) -> None:
        """The process ends."""
        self._protocol.processEnded(Failure(ProcessTerminated(exit_code)))


class MemoryProcessReactor(Clock):
    """
    Starts processes in memory. Time passes when the test says so.

    :ivar processes: all of them, the newest last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[MemoryProcess] = []

    def spawnProcess(
        self, protocol: Any, executable: str, args: Sequence[str] = (), env: Any = None, **options: Any
    ) -> MemoryProcess:
        self.processes.append(MemoryProcess(protocol, args))
        return self.processes[-1]
