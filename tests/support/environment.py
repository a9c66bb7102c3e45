"""The environment of programs that tests start."""

from __future__ import annotations

import os

from natsroute.hot.choice import PURE_VARIABLE


def without_settings() -> dict[str, str]:
    """
    Our variables without those that are settings of natsroute. What says which hot path runs stays: programs run with
    the one that the tests run with.
    """
    return {
        name: value for name, value in os.environ.items() if not name.startswith("NATSROUTE_") or name == PURE_VARIABLE
    }


def patient() -> dict[str, str]:
    """The same, and as much time to connect as a busy machine may take."""
    return {**without_settings(), "NATSROUTE_CONNECT_TIMEOUT": "20"}
