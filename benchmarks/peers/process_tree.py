"""The processes of a peer and the memory that they use, from Linux's ``/proc``."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(pid: int) -> int:
    """
    The resident memory of a process and of its descendants. Shared pages count in each process.

    :raises OSError: there is no such process, or no ``/proc``.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    own = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")), "0")
    return int(own) * 1024 + sum(map(resident_bytes, children(pid)))


def children(pid: int) -> list[int]:
    """
    The processes that any thread of a process has started.

    :raises OSError: there is no such process, or no ``/proc``.
    """
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found
