"""Which implementation of natsroute's hot path this process runs: ``compiled`` or ``pure`` Python."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec

#: The environment variable with which natsroute takes pure Python although the compiled hot path is installed.
PURE = "NATSROUTE_PURE"


def implementation() -> str:
    """What :mod:`natsroute.hot` has chosen when it was imported."""
    if find_spec("natsroute.hot") is None:
        return "pure"  # this version has no other
    chosen: str = import_module("natsroute.hot").IMPLEMENTATION
    return chosen


def require_pure() -> None:
    """
    End this process unless it runs pure Python: its figures are those of pure Python.

    :raises SystemExit: it runs the compiled hot path.
    """
    if implementation() != "pure":
        raise SystemExit(f"this process runs the compiled hot path, although {PURE} is {os.environ.get(PURE)!r}")
