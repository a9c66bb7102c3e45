"""
What runs for each message: in C if that is built, else in Python.

Both implementations have the same names, and do the same. ``NATSROUTE_PURE=1`` in the environment chooses Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from natsroute.hot import pure
from natsroute.hot.choice import CHOICE

if TYPE_CHECKING:
    from natsroute.hot.pure import (
        Counts,
        Gate,
        Reader,
        Sender,
        Target,
        Tray,
        Way,
        confirm_all,
        drop_abandoned,
        shorten_publish,
    )
else:
    globals().update({name: getattr(CHOICE.extension or pure, name) for name in pure.__all__})

#: Which of the two runs.
IMPLEMENTATION: Literal["compiled", "pure"] = CHOICE.implementation


def describe() -> str:
    """Which of the two runs, and why, for a log line."""
    return CHOICE.describe()


__all__ = [
    "IMPLEMENTATION",
    "Counts",
    "Gate",
    "Reader",
    "Sender",
    "Target",
    "Tray",
    "Way",
    "confirm_all",
    "describe",
    "drop_abandoned",
    "shorten_publish",
]
