"""An overview of a service that is not there."""

from __future__ import annotations

from typing import Any

from natsroute.monitoring.overview import CallRow, ConnectionRow, ConsumerRow, Overview, RouteRow, WorkerRow


def an_overview(**fields: Any) -> Overview:
    """The overview of a service with one of everything, ready unless ``reasons`` are given."""
    connection = ConnectionRow("consumer a:q", "connected", "nats://a:4222", 0.001, 0, 1, 0, 10, 0, 0, None)
    rows: dict[str, Any] = {
        "connections": (connection,),
        "consumers": (ConsumerRow("a:q", 2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0),),
        "routes": (RouteRow("nats:a", 2, 0, 1, 1, 0, 0, 0, 0),),
        "workers": (WorkerRow("publish worker 1", 0, 0, 0, 0, 0, 0, 0),),
        "calls": (CallRow("nats:a", "a", 1.5),),
        "calls_in_flight": 1,
    }
    together = {"name": "natsroute", "version": "1", "pids": (7,), "started": 100.0, "time": 200.0, **rows, **fields}
    return Overview(**together)
