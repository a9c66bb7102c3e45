"""The endpoints of the service: each event route that responds, at each consumer that reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from twisted.python.failure import Failure

from natsroute.daemon.code.routing import Routing
from natsroute.daemon.consuming.consumer import Consumer
from natsroute.daemon.operations.measurements import Measurements
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.ledger import RouteCounters
from natsroute.routes.endpoint import Endpoint, endpoint_name
from natsroute.routes.event import Event
from natsroute.routes.failure_log import FailureLog
from natsroute.routes.responding import ERROR_HEADER, error_headers
from natsroute.services.endpoints import EndpointInfo, EndpointStats


class ServiceEndpoints:
    """
    Finds the endpoints of the code that runs now, and what each has done.

    :param consumers: the consumers.
    :param routing: returns the event routes.
    :param measurements: measures how long the calls take.
    :param failures: knows the calls that failed.
    """

    def __init__(
        self,
        consumers: Sequence[Consumer],
        routing: Callable[[], Routing],
        measurements: Measurements,
        failures: FailureLog,
    ) -> None:
        self._consumers = consumers
        self._routing = routing
        self._measurements = measurements
        self._last_errors: dict[RouteCounters, str] = {}
        failures.observe(self._failed)

    def infos(self) -> list[EndpointInfo]:
        """The endpoints, in the order of the consumers."""
        return [info for _, _, info in self._all()]

    def stats(self) -> list[EndpointStats]:
        """What each of them has done."""
        self._measurements.settle()
        known = {
            (id(one), counters.route): counters for one in self._consumers for counters in one.runner.route_counters
        }
        return [self._stats_of(known.get((id(consumer), route)), info) for consumer, route, info in self._all()]

    def _all(self) -> Iterator[tuple[Consumer, str, EndpointInfo]]:
        """Each endpoint, with its consumer and the name of its route."""
        routing = self._routing()
        for consumer in self._consumers:
            entry = consumer.entry
            if not isinstance(entry, QueueEntry):  # nobody asks through a stream
                continue
            for route, subject in routing.responding(entry):
                shown = Endpoint() if route.endpoint is None else route.endpoint
                name = shown.name or endpoint_name(route.pattern)
                yield consumer, route.name, EndpointInfo(name, subject, entry.queue_group or "", shown.metadata)

    def _stats_of(self, counters: RouteCounters | None, info: EndpointInfo) -> EndpointStats:
        if counters is None:  # there was no request yet
            return EndpointStats(info)
        return EndpointStats(
            info,
            counters.routed,
            counters.failed,
            self._last_errors.get(counters, ""),
            self._measurements.handled.get(counters, 0.0),
            {
                "waiting": counters.waiting,
                "in_progress": counters.in_progress,
                "retried": counters.retried,
                "dead_lettered": counters.dead_lettered,
            },
        )

    def _failed(self, event: Event, failure: Failure) -> None:
        error: BaseException = failure.value  # type: ignore[assignment]  # it is never None
        self._last_errors[event.context.counters] = str(error_headers(error)[ERROR_HEADER])
