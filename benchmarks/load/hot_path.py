"""Which implementation of natsroute's hot path this process runs: the compiled one, or the one in Python."""

from __future__ import annotations

from natsroute import hot
from natsroute.hot.choice import PURE_VARIABLE

#: The environment of a process that runs the one in Python.
PURE_ENVIRONMENT = {PURE_VARIABLE: "1"}


def implementation() -> str:
    """``compiled`` or ``pure``."""
    return hot.IMPLEMENTATION


def require_pure() -> None:
    """
    End this process unless it runs pure Python: its figures are those of pure Python.

    :raises SystemExit: it runs the compiled hot path.
    """
    if implementation() != "pure":
        raise SystemExit(f"this process must run pure Python, and runs the {hot.describe()}")
