"""natsroute in a process of its own, as an operator runs it, so that its memory can be measured."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.environment import patient
from tests.support.processes import alive, memory_of, reset_peak
from tests.support.program import Program


class NatsrouteProcess(Program):
    """
    ``twistd natsroute``, which routes the messages to a routes file.

    :param folder: an empty folder.
    :param routes: the text of the routes file.
    :param arguments: more options.
    :param under: a command that becomes the one that it gets as arguments.
    """

    def __init__(self, reactor: Any, folder: Path, routes: str, *arguments: str, under: Sequence[str] = ()) -> None:
        self._folder = folder
        (folder / "routes.py").write_text(routes, encoding="utf-8")
        twistd = str(Path(sys.executable).with_name("twistd"))
        command = [sys.executable, twistd, "--nodaemon", "--pidfile=pid", "natsroute", "--event_routes", "routes.py"]
        environment = {
            **patient(),
            "NATSROUTE_ADMIN_SOCKET": "off",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        super().__init__(reactor, [*under, *command, *arguments], folder, environment)

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        super().childDataReceived(2, data)  # one stream, so that prints and log lines keep their order

    @property
    def output(self) -> list[str]:
        """The lines that it has printed and logged, without the time."""
        return [re.sub(r"^\S+ \[\S+\] ", "", line) for line in self.lines]

    @property
    def alive(self) -> bool:
        """Whether natsroute itself is running, and not only its child guard."""
        try:
            return self.status is None and alive(self.pid)
        except (OSError, ValueError):  # its file is not there yet, or still empty
            return False

    @property
    def pid(self) -> int:
        """The process of natsroute itself."""
        return int((self._folder / "pid").read_text("ascii"))

    @property
    def memory(self) -> int:
        """KiB that it has now."""
        return memory_of(self.pid)

    @property
    def peak(self) -> int:
        """KiB that it had at most since :meth:`reset_peak`."""
        return memory_of(self.pid, "VmHWM")

    def reset_peak(self) -> None:
        """Begin again with :attr:`peak`."""
        reset_peak(self.pid)
