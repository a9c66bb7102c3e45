"""
A clock for the reactor that does not jump when the clock of the machine is set.

Twisted's reactor times its calls by ``time.time()``. When somebody sets the clock back by an hour, every timer waits an
hour longer: reconnects, pings, timeouts. When the clock is set forward, all of them fire at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.python.runtime import seconds as wall_clock


def steady_clock(
    wall: Callable[[], float] = wall_clock, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[], float]:
    """
    Make a clock that shows the time of the wall clock now, and never jumps afterwards.

    :return: gives the seconds since the epoch, without any correction of the wall clock that comes later.
    """
    offset = wall() - monotonic()
    return lambda: monotonic() + offset


def use_steady_clock(reactor: Any, monotonic: Callable[[], float] = time.monotonic) -> None:
    """
    Let a reactor time its calls by a steady clock, if it uses the wall clock.

    Calls that are scheduled already stay in time, since both clocks show the same at this moment. A reactor with
    another clock, such as one of a test, keeps it.
    """
    if getattr(reactor, "seconds", None) is wall_clock:
        reactor.seconds = steady_clock(wall_clock, monotonic)
