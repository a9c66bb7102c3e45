"""
The peers, a module for each whose name ends in ``_peer``; a peer to come is one file more.

Such a module has a :class:`Peer` named ``PEER``. Run as a program with a :class:`~benchmarks.load.job.Job` it plays the
role that the job names, tells that it is ready when the server has its subscriptions, and at the end what it received
and when (``at``, nanoseconds of the machine's monotonic clock).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: The peer that all others are compared with.
OURS = "natsroute"


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Peer:
    """
    What the benchmark has to know of a peer.

    :ivar about: what it is, and how it is set up.
    :ivar roles: what it can play.
    :ivar missing: says what has to be installed before it can play, or nothing.
    :ivar refuses_mixed: why it cannot take mixed traffic; empty if it can.
    :ivar share: the part of a run's messages that it gets, since with all of them it would take too long.
    :ivar fixed_reply: the subject of its answers, if it does not see the reply subject.
    :ivar module: set by the benchmark.
    """

    about: str
    roles: tuple[str, ...] = ()
    missing: Callable[[], str] = _nothing
    refuses_mixed: str = ""
    share: float = 1.0
    fixed_reply: str = ""
    module: str = ""
