"""Event routes for several processes of natsroute: each counts its messages, and tells their number all the time."""

from __future__ import annotations

import json
import os
from time import perf_counter_ns

from twisted.internet.task import LoopingCall

from benchmarks.load.job import SUBJECT
from natsroute import Event, EventRoutes, RunningService

#: The subject of the numbers.
COUNTS_SUBJECT = "counts"
_INTERVAL = 0.02  # seconds between two of them

event_route = EventRoutes()
_received = _last = 0


@event_route(f"nats:{SUBJECT}")
@event_route(f"nats:{SUBJECT}.*")
def count(event: Event) -> None:
    """Count a message."""
    global _received, _last
    _received += 1
    _last = perf_counter_ns()


@event_route.on_start
def tell(service: RunningService) -> None:
    """Tell the number from now on."""

    def publish() -> None:
        service.publish(COUNTS_SUBJECT, json.dumps({"pid": os.getpid(), "received": _received, "at": _last}))

    LoopingCall(publish).start(_INTERVAL)
