"""
Which processors a peer has, and which the stage: the server, the feeder and all else.

Half of them for the peer, and the others for the stage. With fewer than four, or where a process cannot be bound, all
have all: on one processor server and feeder would be what is measured, and peers of several processes would queue. It
is the same for every peer, and what a peer starts stays where the peer is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: So many are divided.
_ENOUGH = 4


@dataclass(frozen=True)
class Processors:
    """
    A division of the processors.

    :ivar stage: numbers of the stage's.
    :ivar peer: numbers of the peer's.
    """

    stage: frozenset[int]
    peer: frozenset[int]

    @classmethod
    def divided(cls) -> Processors:
        """Those of this machine, divided if they are enough."""
        if not hasattr(os, "sched_getaffinity"):
            return cls.shared()
        numbers = sorted(os.sched_getaffinity(0))
        if len(numbers) < _ENOUGH:
            return cls.shared()
        stage = len(numbers) - len(numbers) // 2
        return cls(frozenset(numbers[:stage]), frozenset(numbers[stage:]))

    @classmethod
    def shared(cls) -> Processors:
        """All for all."""
        numbers = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        return cls(frozenset(numbers), frozenset(numbers))

    def __str__(self) -> str:
        if self.stage == self.peer:
            return f"all share the {len(self.peer)} processors"
        return f"{len(self.peer)} of the processors for the peer, {len(self.stage)} for server, feeder and all else"


@contextmanager
def bound_to(numbers: frozenset[int]) -> Iterator[None]:
    """Processes that are started within are bound to these processors."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, numbers)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
