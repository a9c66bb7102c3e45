"""The environment of programs that tests start."""

from __future__ import annotations

import os
from typing import Any

from natsroute.hot.choice import PURE_VARIABLE
from tests.support.waiting import TIMEOUT


def without_settings() -> dict[str, str]:
    """
    Our variables without those that are settings of natsroute. What says which hot path runs stays: programs run with
    the one that the tests run with.
    """
    return {
        name: value for name, value in os.environ.items() if not name.startswith("NATSROUTE_") or name == PURE_VARIABLE
    }


#: Settings that must not expire in a test, unless it waits for that: the machine may be slow and busy.
PATIENT: dict[str, Any] = {
    "connect_timeout": 20.0,
    "hook_timeout": TIMEOUT,
    "reload_timeout": TIMEOUT,
    "script_timeout": TIMEOUT,
}


def patient() -> dict[str, str]:
    """Our variables without those that are settings of natsroute, and :data:`PATIENT`."""
    return {**without_settings(), **{f"NATSROUTE_{name.upper()}": str(value) for name, value in PATIENT.items()}}
