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
#: The same without its compiled hot path.
PURE_OURS = "natsroute-pure"

#: What peers import that needs a newer Python than natsroute does, and which.
NEWER_PYTHON = {"natsio": (3, 13), "nats.client": (3, 13)}


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
    :ivar by_default: whether it runs when no peer is named.
    :ivar supervises: whether its program starts several processes itself, and reports of all together.
    :ivar environment: variables that its program has besides those of the benchmark.
    :ivar min_python: the oldest Python that it runs on; the catalogue sets it for a peer that needs a newer one.
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
    by_default: bool = True
    min_python: tuple[int, int] = (3, 10)
    module: str = ""
