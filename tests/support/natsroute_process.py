"""natsroute in a process of its own, so that its memory can be measured."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from tests.support.program import ROOT, Program

#: Why such a test cannot run here, or "".
CANNOT_MEASURE = (
    "" if Path("/proc/self/clear_refs").exists() else "the memory of a process is looked up in Linux's /proc"
)


def memory_of(pid: int, figure: str = "VmRSS") -> int:
    """KiB that a process has."""
    return int(_status(Path("/proc", str(pid)))[figure].split()[0])


def _status(process: Path) -> dict[str, str]:
    lines = (process / "status").read_text("ascii").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


class Natsroute(Program):
    """
    ``twistd natsroute``.

    :param folder: an empty one.
    :param routes: the text of its routes file.
    :param arguments: its options.
    """

    def __init__(self, reactor: Any, folder: Path, routes: str, *arguments: str) -> None:
        self._folder = folder
        (folder / "routes.py").write_text(routes, encoding="utf-8")
        twistd = str(Path(sys.executable).with_name("twistd"))
        command = [sys.executable, twistd, "--nodaemon", "--pidfile=pid", "natsroute", "--event_routes", "routes.py"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NATSROUTE_")}
        environment = {**clean, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        super().__init__(reactor, [*command, *arguments], folder, environment)

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        super().childDataReceived(2, data)  # print and log, as they come

    @property
    def said(self) -> list[str]:
        """What it printed and logged, without the time."""
        return [re.sub(r"^\S+ \[\S+\] ", "", line) for line in self.lines]

    @property
    def alive(self) -> bool:
        """Whether the very process that was started is there still, and not only its child_guard."""
        try:
            return self.status is None and _status(Path("/proc", str(self.pid)))["State"][0] != "Z"
        except OSError:
            return False

    @property
    def pid(self) -> int:
        """Of the process itself."""
        return int((self._folder / "pid").read_text("ascii"))

    @property
    def memory(self) -> int:
        """KiB now."""
        return memory_of(self.pid)

    @property
    def peak(self) -> int:
        """KiB at the most, since :meth:`forget_peak`."""
        return memory_of(self.pid, "VmHWM")

    def forget_peak(self) -> None:
        """Begin again with :attr:`peak`."""
        Path("/proc", str(self.pid), "clear_refs").write_text("5", "ascii")
