"""
Divides the processors between the peer and everything else: the server, the feeder and the benchmark itself.

Half of the processors are the peer's. With fewer than four, or where a process cannot be bound, all processes share all
processors: with one processor for server and feeder, these would be what is measured, and a peer with several processes
would queue on the other. The division is the same for every peer. The processes that a peer starts inherit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: Fewer processors than this are shared.
_MIN_TO_DIVIDE = 4


@dataclass(frozen=True)
class Processors:
    """
    A division of the processors.

    :ivar others: the processors of everything else.
    :ivar peer: the processors of the peer.
    """

    others: frozenset[int]
    peer: frozenset[int]

    @classmethod
    def divided(cls) -> Processors:
        """The processors of this machine, divided if there are enough."""
        if not hasattr(os, "sched_getaffinity"):
            return cls.shared()
        numbers = sorted(os.sched_getaffinity(0))
        if len(numbers) < _MIN_TO_DIVIDE:
            return cls.shared()
        others = len(numbers) - len(numbers) // 2
        return cls(frozenset(numbers[:others]), frozenset(numbers[others:]))

    @classmethod
    def shared(cls) -> Processors:
        """The processors of this machine, shared by all processes."""
        numbers = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        return cls(frozenset(numbers), frozenset(numbers))

    def __str__(self) -> str:
        if self.others == self.peer:
            return f"all processes share the {len(self.peer)} processors"
        return f"{len(self.peer)} for the peer, {len(self.others)} for the server, the feeder and everything else"


@contextmanager
def bound_to(numbers: frozenset[int]) -> Iterator[None]:
    """Bind the processes that are started in the context to these processors."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, numbers)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
