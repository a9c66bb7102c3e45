"""Functions for blocklist.cfg. Start both with

twistd -n natsroute --kamailio_cfg examples/blocklist.cfg --event_routes examples/blocklist.py
"""

from __future__ import annotations

import time

from natsroute import Event
from natsroute.kamailio import script_function

#: Until when a user is blocked, in seconds since 1970.
_blocked: dict[str, float] = {}


@script_function
def block(event: Event, user: str, seconds: int = 3600) -> None:
    """``block("$var(user)", 60)`` blocks a user."""
    _blocked[user] = time.time() + seconds


@script_function
def is_blocked(event: Event, user: str) -> bool:
    """``if (is_blocked("$var(user)")) { … }``; also sets ``$var(left)``, the seconds that are left."""
    left = _blocked.get(user, 0.0) - time.time()
    if left <= 0:
        return False
    event.set_pv("$var(left)", int(left) + 1)
    return True


@script_function(name="audit", thread=True)
def write_down(event: Event, text: str) -> None:
    """``audit("…")`` adds a line to a file. It runs in a thread, because the disk may be slow."""
    with open("audit.log", "a", encoding="utf-8") as file:
        file.write(f"{text}\n")
