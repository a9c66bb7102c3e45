"""What is measured of a service, besides what it counts anyway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred

from natsroute.errors import MisuseError
from natsroute.ledger import RouteCounters
from natsroute.monitoring.histogram import Histogram
from natsroute.monitoring.last_deliveries import LastDeliveries
from natsroute.monitoring.metric_table import Extras
from natsroute.monitoring.overview import Overview
from natsroute.monitoring.reactor_times import ReactorTimes
from natsroute.routes.handling_times import HandlingTimes

if TYPE_CHECKING:
    from natsroute.monitoring.metrics import Metrics


class Measurements(MultiService):
    """
    Measures while it runs.

    :param received: returns how many messages each consumer has received.
    :param durations: whether durations are measured. Otherwise nobody asks for them.
    :param handling: whether the times of calls are measured in any case.

    :ivar handling_times: measures the calls of event routes; None if nobody asks for that.
    :ivar handled: seconds of all calls so far, by the counters of their route at one consumer.
    :ivar on_confirmed: to be called with the number of a publish worker, seconds, and the messages that were confirmed
        after them; None without durations.
    :ivar idle: gives the seconds since the last message of each consumer.
    """

    def __init__(
        self, reactor: Any, received: Callable[[], Sequence[int]], *, durations: bool, handling: bool = False
    ) -> None:
        super().__init__()
        self.handled: dict[RouteCounters, float] = {}
        self._handling: dict[str, Histogram] = {}
        self._confirmation: dict[str, Histogram] = {}
        self.handling_times: HandlingTimes | None = None
        self.on_confirmed: Callable[[int, float, int], None] | None = None
        self._reactor_times: ReactorTimes | None = None
        self._shown: Callable[[], Metrics | None] = lambda: None
        deliveries = LastDeliveries(reactor, received)
        deliveries.setServiceParent(self)
        self.idle = deliveries.idle
        if durations or handling:
            self.handling_times = HandlingTimes(reactor, self._handled)
        if durations:
            self.on_confirmed = self._confirmed
            self._reactor_times = ReactorTimes(reactor)
            self._reactor_times.setServiceParent(self)

    def shown_by(
        self, reactor: Any, overview: Callable[[], Overview], logged: Callable[[], Mapping[str, int]] = dict
    ) -> Measurements:
        """
        Let :meth:`new_metrics` show this overview, too; returns the same object.

        :param logged: returns how many warnings and errors the log had, by level.
        """
        self._shown = lambda: metrics_of(reactor, overview, self, logged)
        return self

    def new_metrics(self) -> Metrics | None:
        """The metrics of the service; None if the package ``prometheus-client`` is not installed."""
        return self._shown()

    def times(self) -> Extras:
        """All durations so far. They do not change any more."""
        self.settle()
        if self._reactor_times is None:
            return Extras()
        return Extras(
            {route: histogram.copy() for route, histogram in self._handling.items()},
            {worker: histogram.copy() for worker, histogram in self._confirmation.items()},
            self._reactor_times.lateness.copy(),
            self._reactor_times.turns.copy(),
        )

    def settle(self) -> None:
        """Count the calls that were not measured, too, as long as the last one of their route that was."""
        if self.handling_times is not None:
            self.handling_times.settle()

    def stopService(self) -> Deferred[None]:
        """Leave nothing in the reactor; fires in its thread."""
        if self.handling_times is not None:
            self.handling_times.stop()
        stopped: Deferred[None] = super().stopService()
        return stopped

    def _handled(self, counters: RouteCounters, seconds: float, count: int) -> None:
        histogram = self._handling.get(counters.route)
        if histogram is None:
            histogram = self._handling[counters.route] = Histogram()
        histogram.add(seconds, count)
        self.handled[counters] = self.handled.get(counters, 0.0) + max(0.0, seconds) * count

    def _confirmed(self, number: int, seconds: float, count: int) -> None:
        worker = f"publish worker {number}"
        histogram = self._confirmation.get(worker)
        if histogram is None:
            histogram = self._confirmation[worker] = Histogram()
        histogram.add(seconds, count)


def metrics_of(
    reactor: Any,
    overview: Callable[[], Overview],
    measurements: Measurements,
    logged: Callable[[], Mapping[str, int]] = dict,
) -> Metrics | None:
    """
    The metrics of a service.

    :param overview: returns its overview.
    :param logged: returns how many warnings and errors the log had, by level.
    :return: None if the package ``prometheus-client`` is not installed.
    """
    try:
        # Only here: the package is optional, and takes 20 ms to import.
        from natsroute.monitoring.metrics import Metrics
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "prometheus_client":
            raise
        return None
    return Metrics(reactor, overview, lambda: attrs.evolve(measurements.times(), logged=logged()))


class MetricsText(Protocol):
    """What makes the text of metrics."""

    def text(self) -> Deferred[bytes]:
        """The text in Prometheus' format."""


class MetricsSource(Protocol):
    """A service that makes metrics."""

    def setServiceParent(self, parent: Any) -> None:
        """Run with another service."""

    def new_metrics(self) -> MetricsText | None:
        """The metrics; None if the package ``prometheus-client`` is not installed."""


def metrics_method(metrics: Callable[[], MetricsText | None]) -> Callable[[object], Deferred[str]]:
    """
    The admin method that gives the text of the metrics.

    :param metrics: returns the metrics, or None if the package ``prometheus-client`` is not installed.
    """

    def text(_: object) -> Deferred[str]:
        found = metrics()
        if found is None:
            raise MisuseError("there are no metrics without prometheus-client: pip install 'natsroute[monitoring]'")
        return found.text().addCallback(bytes.decode)

    return text
