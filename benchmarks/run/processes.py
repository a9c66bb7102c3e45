"""What a running process takes, as Linux tells it."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(pid: int) -> int:
    """
    Resident memory of a process and of all that it started. Pages that they share are counted in each.

    :raises OSError: there is no such process, or no ``/proc``.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    own = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")), "0")
    return int(own) * 1024 + sum(map(resident_bytes, children(pid)))


def children(pid: int) -> list[int]:
    """The processes that a process started, whichever of its threads did."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found
