"""
What is compared: a module for each peer.

Each module whose name ends in ``_peer`` defines a :class:`Peer` named ``PEER``. :mod:`benchmarks.catalogue` finds the
modules, so a new file is a new peer.

A peer module is also a program, whose argument is a :class:`~benchmarks.load.job.Job`. It takes the role of the job. It
reports that it is ready when the server has its subscriptions, and at the end it reports what it received and when
(``at``, nanoseconds of the machine's monotonic clock).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: The peer that the others are compared with.
OURS = "natsroute"


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Peer:
    """
    What the benchmark needs to know about a peer.

    :ivar about: a description for the report, with the settings that differ from the defaults.
    :ivar roles: the roles that it can take.
    :ivar missing: returns what must be installed before the peer can run; empty if nothing.
    :ivar refuses_mixed: why it cannot take mixed traffic; empty if it can.
    :ivar fraction: the part of a run's messages that it gets; below 1 for a peer with which a run would take too long.
    :ivar fixed_reply: the subject of all its replies, if it does not see reply subjects.
    :ivar supervises: whether its program starts several processes itself, and reports of all together.
    :ivar environment: variables that its program has besides those of the benchmark.
    :ivar module: the name of its module, which the catalogue sets.
    """

    about: str
    roles: tuple[str, ...] = ()
    missing: Callable[[], str] = _nothing
    refuses_mixed: str = ""
    fraction: float = 1.0
    fixed_reply: str = ""
    supervises: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    module: str = ""
