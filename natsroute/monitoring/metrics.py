"""
The metrics as text for Prometheus.

Nothing is counted for them: each scrape reads the overview. This module needs the package ``prometheus-client`` (the
extra ``monitoring``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute.monitoring.histogram import Histogram
from natsroute.monitoring.metric_table import METRICS, Extras, Metric, Snapshot, Value
from natsroute.monitoring.overview import Overview

#: Seconds of a turn of the reactor after which the rest of a text is made in the next one. Prometheus' package takes
#: about 5 µs for each sample, and a service with a hundred consumers and routes has thousands.
MAX_TURN = 0.002

# Samples between two looks at the clock.
_STEP = 100


class Metrics(Collector):
    """
    Makes the text of the metrics.

    :param clock: the reactor.
    :param overview: returns the overview of the service.
    :param extras: returns what the overview does not have.
    """

    def __init__(
        self, clock: IReactorTime, overview: Callable[[], Overview], extras: Callable[[], Extras] = Extras
    ) -> None:
        self._clock = clock
        self._overview = overview
        self._extras = extras
        self._process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)
        self._waiting: list[Deferred[bytes]] = []
        self._is_busy = False

    def text(self) -> Deferred[bytes]:
        """
        The metrics of this process in the text format of Prometheus, in UTF-8: the values of one moment, not before
        this call. A long text is made in several turns of the reactor. If several ask at the same time, all get one.

        :return: fires in the reactor's thread. Cancelling it only ends the wait.
        """
        asked: Deferred[bytes] = Deferred()
        self._waiting.append(asked)
        if not self._is_busy:
            self._begin()
        return asked

    def collect(self) -> Iterator[Family]:
        """The metrics at this moment as objects of ``prometheus-client``, so that a registry of it can have this."""
        snapshot = self._snapshot()
        for metric in METRICS:
            yield _family(metric, metric.values(snapshot))
        yield from self._process.collect()

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._overview(), self._extras())

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._is_busy = True
        turn_ends = self._clock.seconds() + MAX_TURN
        try:
            pieces = self._pieces(self._snapshot())
        except Exception:
            self._end(waiting, Failure())
        else:
            self._go_on(pieces, [], waiting, turn_ends)

    def _go_on(
        self,
        pieces: Iterator[bytes],
        made: list[bytes],
        waiting: list[Deferred[bytes]],
        turn_ends: float | None = None,
    ) -> None:
        if turn_ends is None:
            turn_ends = self._clock.seconds() + MAX_TURN
        try:
            for piece in pieces:
                made.append(piece)
                if self._clock.seconds() >= turn_ends:
                    self._clock.callLater(0, self._go_on, pieces, made, waiting)
                    return
        except Exception:
            self._end(waiting, Failure())
        else:
            self._end(waiting, b"".join(made))

    def _end(self, waiting: list[Deferred[bytes]], result: bytes | Failure) -> None:
        self._is_busy = False
        for asked in waiting:
            asked.callback(result)
        if self._waiting and not self._is_busy:
            self._begin()

    def _pieces(self, snapshot: Snapshot) -> Iterator[bytes]:
        for metric in METRICS:
            yield from _texts(metric, snapshot)
        yield generate_latest(self._process)


def _texts(metric: Metric, snapshot: Snapshot) -> Iterator[bytes]:
    """The text of one metric in pieces; none if it has no samples."""
    values = iter(metric.values(snapshot))
    step = _STEP // 20 if metric.kind == "histogram" else _STEP
    is_first = True
    while part := list(islice(values, step)):
        text = generate_latest(_Collected(_family(metric, part)))
        yield text if is_first else text.split(b"\n", 2)[2]  # HELP and TYPE stand before the first only
        is_first = False


class _Collected(Collector):
    """What ``generate_latest()`` takes: here, one family."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> Iterable[Family]:
        return [self._family]


_FAMILIES: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _family(metric: Metric, values: Iterable[Value]) -> Family:
    family: Any = _FAMILIES[metric.kind](metric.name, f"{metric.help}.", labels=metric.labels)
    for labels, value in values:
        encodable = [label if label.isascii() else _encodable(label) for label in labels]
        if isinstance(value, Histogram):
            family.add_metric(encodable, value.cumulative(), value.sum)
        else:
            family.add_metric(encodable, value)
    made: Family = family
    return made


def _encodable(label: str) -> str:
    """A label without lone surrogates, which UTF-8 does not have. The package escapes the rest."""
    return label.encode("utf-8", "backslashreplace").decode()
