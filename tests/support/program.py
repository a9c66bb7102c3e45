"""A program that a test starts, on a child_guard."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from natsroute.daemon import child_guard
from tests.support.cases import until

#: The checkout, where ``tests`` and ``natsroute`` are found.
ROOT = Path(__file__).parents[2]


class Program(ProcessProtocol):
    """
    A program on a leash: it and all that it forked end with :meth:`stop`, and when the tests are killed.

    :ivar lines: what it has written to standard error.
    :ivar printed: what it has written to standard output.
    :ivar status: its exit status, once nothing of it runs any longer: each of its processes holds standard error.

    :param environment: its variables; those of this process, if left out.
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
        leashed = [sys.executable, "-I", "-S", child_guard.__file__, *command]
        environment = {**(os.environ if environment is None else environment), "TERM": "dumb"}
        reactor.spawnProcess(self, leashed[0], leashed, env=environment, path=str(folder))

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        *lines, self._rest[descriptor] = (self._rest[descriptor] + data).split(b"\n")
        kept = self.lines if descriptor == 2 else self.printed
        kept += [line.decode("utf-8", "backslashreplace") for line in lines]

    def processEnded(self, reason: Failure) -> None:
        code: int | None = getattr(reason.value, "exitCode", None)  # None: the leash itself was killed
        self.status = -1 if code is None else code

    async def ended(self) -> int:
        """The exit status, when it and all that it forked have ended."""
        await until(lambda: self.status is not None, self.reactor)
        assert self.status is not None
        return self.status

    def stop(self) -> Deferred[None]:
        """End it, and wait until nothing of it runs any longer."""
        return Deferred.fromCoroutine(self._stop())  # older Twisteds take no coroutine for a clean-up

    async def _stop(self) -> None:
        if self.status is None:
            self.transport.closeStdin()
        await self.ended()
