"""natsroute in a process of its own, so that its memory can be measured."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from tests.program import ROOT, Program

#: Why such a test cannot run here, or "".
CANNOT_MEASURE = (
    "" if Path("/proc/self/clear_refs").exists() else "the memory of a process is looked up in Linux's /proc"
)


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

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        super().childDataReceived(2, data)  # print and log, as they come

    @property
    def said(self) -> list[str]:
        """What it printed and logged, without the time."""
        return [re.sub(r"^\S+ \[\S+\] ", "", line) for line in self.lines]

    @property
    def alive(self) -> bool:
        """Whether the very process that was started is there still, and not only its leash."""
        try:
            status = self._status()
        except OSError:
            return False
        return self.status is None and status["State"][0] != "Z"

    @property
    def memory(self) -> int:
        """KiB now."""
        return int(self._status()["VmRSS"].split()[0])

    @property
    def peak(self) -> int:
        """KiB at the most, since :meth:`forget_peak`."""
        return int(self._status()["VmHWM"].split()[0])

    def forget_peak(self) -> None:
        """Begin again with :attr:`peak`."""
        self._file("clear_refs").write_text("5", "ascii")

    def _status(self) -> dict[str, str]:
        lines = self._file("status").read_text("ascii").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def _file(self, name: str) -> Path:
        return Path("/proc", (self._folder / "pid").read_text("ascii").strip(), name)
