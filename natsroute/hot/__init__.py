"""
What runs for each message: in C if that is built, else in Python.

Both implementations have the same names, and do the same. ``NATSROUTE_PURE=1`` in the environment chooses Python.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from natsroute.hot import pure

if TYPE_CHECKING:
    from natsroute.hot.pure import Counts, Gate, Reader, Sender, Target, Tray, Way, confirm_all, drop_abandoned

    IMPLEMENTATION: str
else:
    _chosen, IMPLEMENTATION = pure, "pure"
    if os.environ.get("NATSROUTE_PURE", "0") in ("", "0"):
        try:
            from natsroute.hot import _compiled as _chosen

            IMPLEMENTATION = "compiled"
        except ImportError:
            pass
    Counts, Gate, Reader = _chosen.Counts, _chosen.Gate, _chosen.Reader
    Sender, Target, Tray, Way = _chosen.Sender, _chosen.Target, _chosen.Tray, _chosen.Way
    confirm_all, drop_abandoned = _chosen.confirm_all, _chosen.drop_abandoned

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
    "drop_abandoned",
]
