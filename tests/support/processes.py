"""What Linux says of a process, and the signals that a new one knows."""

from __future__ import annotations

import signal
from pathlib import Path

#: Why the memory of a process cannot be measured here, or an empty string.
CANNOT_MEASURE = "" if Path("/proc/self/clear_refs").exists() else "Linux's /proc is needed to measure memory"


def listen_to_ctrl_c() -> None:
    """
    The ``preexec_fn`` of a program that SIGINT is to end.

    A program that was started in the background ignores SIGINT, and so do its children: ``.ci/run &`` too.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def status_of(pid: int) -> dict[str, str]:
    """
    The fields of ``/proc/PID/status``.

    :raises OSError: there is no such process, or no ``/proc``.
    """
    lines = Path("/proc", str(pid), "status").read_text("ascii", "replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def alive(pid: int) -> bool:
    """Whether the process runs. A zombie does not: it has ended, and its parent does not know it yet."""
    try:
        return status_of(pid)["State"][0] != "Z"
    except OSError:
        return False


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for a signal. One that has ended has none."""
    try:
        return bool(int(status_of(pid)["SigCgt"], 16) >> (number - 1) & 1)
    except (OSError, KeyError):
        return False


def start_of(pid: int) -> int:
    """When the process has started, in ticks since the machine has. Process numbers do not tell: they begin anew."""
    try:
        return int(Path("/proc", str(pid), "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19])
    except OSError:
        return 0


def has_stopped(pid: int) -> bool:
    """Whether SIGSTOP has stopped all threads of a process. True, too, if it has ended, or nothing tells."""
    try:
        states = [status_of(int(task.name))["State"][0] for task in Path("/proc", str(pid), "task").iterdir()]
    except OSError:
        return True
    return all(state in "TtZX" for state in states)


def memory_of(pid: int, field: str = "VmRSS") -> int:
    """
    Memory of a process, in KiB.

    :param field: ``VmRSS`` for what it has now, ``VmHWM`` for its peak.
    """
    return int(status_of(pid)[field].split()[0])


def reset_peak(pid: int) -> None:
    """Begin again with the peak of a process."""
    Path("/proc", str(pid), "clear_refs").write_text("5", "ascii")
