"""A program that a test starts under a child guard."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from natsroute.daemon.child_guard import guarded
from tests.support.waiting import until


class Program(ProcessProtocol):
    """
    A program under a child guard. It and all that it has forked end with :meth:`stop`, and when the tests are killed.

    :ivar lines: the lines that it has written to standard error.
    :ivar printed: the lines that it has written to standard output.
    :ivar status: its exit status; None as long as any of its processes runs, since each holds standard error.

    :param folder: where it runs.
    :param environment: its environment variables; None for those of this process.
    """

    transport: IProcessTransport

    def __init__(
        self, reactor: Any, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.lines: list[str] = []
        self.printed: list[str] = []
        self.status: int | None = None
        self.reactor = reactor
        self._rest = {1: b"", 2: b""}
        environment = {**(os.environ if environment is None else environment), "TERM": "dumb"}
        whole = guarded(list(command))
        reactor.spawnProcess(self, whole[0], whole, env=environment, path=str(folder))

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        *lines, self._rest[descriptor] = (self._rest[descriptor] + data).split(b"\n")
        kept = self.lines if descriptor == 2 else self.printed
        kept += [line.decode("utf-8", "backslashreplace") for line in lines]

    def processEnded(self, reason: Failure) -> None:
        code: int | None = getattr(reason.value, "exitCode", None)  # None: the guard itself was killed
        self.status = -1 if code is None else code

    async def ended(self) -> int:
        """Wait until all its processes have ended; returns the exit status."""
        await until(lambda: self.status is not None, self.reactor)
        assert self.status is not None
        return self.status

    def stop(self) -> Deferred[None]:
        """End it, and wait until all its processes have ended."""
        return Deferred.fromCoroutine(self._stop())  # the oldest Twisted takes no coroutine as a clean-up

    async def _stop(self) -> None:
        if self.status is None:
            self.transport.closeStdin()
        await self.ended()
