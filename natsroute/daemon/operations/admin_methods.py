"""The admin methods of a service. Other parts add theirs to the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.admin.methods import Methods, ParameterError
from natsroute.daemon.operations.process_log import ProcessLog
from natsroute.errors import MisuseError
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
    methods.add("ledger", part("consumers", "routes", "publisher", "requests", "workers"))
    methods.add("connections", part("connections"))
    methods.add("routes", part("routes"))
    methods.add("calls", part("calls", "calls_in_flight"))
    methods.add("stop", stop_soon, changes=True)
    return methods


def add_log_level(
    methods: Methods, log: ProcessLog | None, pass_on: Callable[[Sequence[str]], Awaitable[None]] | None = None
) -> None:
    """
    Add the method ``log_level``: it changes the levels of the log by ``rules``, if there are any, and returns the rules
    that there are then.

    :param log: the log of the process, or None if it is not the service's.
    :param pass_on: called with the rules, for the other processes of the service.
    """

    async def log_level(params: Mapping[str, Any]) -> dict[str, Any]:
        if log is None or not log.is_used:
            raise MisuseError("the log of this process is not natsroute's: its levels are those of the program")
        rules = params.get("rules", [])
        if not all(isinstance(rule, str) for rule in rules):
            raise ParameterError("rules must be texts, such as natsroute.client=debug")
        log.levels.change(rules)
        if pass_on is not None:
            await pass_on(rules)
        return {"rules": list(log.levels.rules)}

    methods.add("log_level", log_level, optional={"rules": list}, changes=True)
