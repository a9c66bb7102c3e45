"""The admin methods of a service. Other parts add theirs to the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.admin.methods import Methods
from natsroute.monitoring.overview import Overview


def service_methods(
    clock: Any, overview: Callable[[], Overview | Deferred[Overview]], stop: Callable[[], object]
) -> Methods:
    """
    The methods that each service has.

    :param overview: returns the overview of the service, or of several processes.
    :param stop: stops the service.
    """

    def part(*names: str) -> Callable[[object], Any]:
        """A method whose result has these fields of the overview, or all."""

        async def fields(_: object) -> dict[str, Any]:
            made = overview()
            whole = (await made if isinstance(made, Deferred) else made).as_json()
            return {name: whole[name] for name in names or whole}

        return fields

    def stop_soon(_: object) -> None:
        clock.callLater(0, stop)  # the answer goes out first

    methods = Methods()
    methods.add("overview", part())
    methods.add("ready", part("ready", "reasons"))
    methods.add("ledger", part("consumers", "routes", "publisher", "workers"))
    methods.add("connections", part("connections"))
    methods.add("routes", part("routes"))
    methods.add("calls", part("calls", "calls_in_flight"))
    methods.add("stop", stop_soon, changes=True)
    return methods
