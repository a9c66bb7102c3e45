"""natsroute.monitoring.metrics: what Prometheus' own parser reads is what the overview has."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.registry import CollectorRegistry
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.state import State
from natsroute.monitoring.histogram import Histogram
from natsroute.monitoring.metric_table import METRICS, Extras
from natsroute.monitoring.metrics import MAX_TURN, Metrics
from natsroute.monitoring.overview import (
    CallRow,
    ConnectionRow,
    ConsumerRow,
    Overview,
    PublisherRow,
    Reason,
    RouteRow,
    WorkerRow,
)
from tests.support.promtool import promtool
from tests.test_merged_metrics import samples


def a_consumer(name: str = "one:q", **fields: object) -> ConsumerRow:
    row = ConsumerRow(
        name,
        received=100,
        succeeded=50,
        failed=20,
        retried=7,
        dead_lettered=5,
        not_dead_lettered=4,
        overflowed=3,
        unclaimed=2,
        unrouted=1,
        in_progress=10,
        waiting=14,
        idle=3.5,
        handed_back=6,
        lag=21,
    )
    return attrs.evolve(row, **fields)  # type: ignore[arg-type]


def a_connection(purpose: str, state: str = "connected", rtt: float | None = 0.25) -> ConnectionRow:
    return ConnectionRow(purpose, state, "nats://host:4222", rtt, 2, 10, 1, 1000, 5, 500, None)


def an_overview(**fields: object) -> Overview:
    """One row of each kind, and all numbers of a row different."""
    overview = Overview(
        name="natsroute",
        version="1.2",
        pids=(1,),
        started=100.0,
        time=200.0,
        connections=(a_connection("publish worker 1"),),
        consumers=(a_consumer(),),
        routes=(RouteRow("nats:one", 81, 1, 10, 50, 20, 7, 5, 4),),
        publisher=PublisherRow(40, 30, 6, 1, 2, 3),
        workers=(WorkerRow("publish worker 1", 37, 30, 3, 1, 2, 3, 999, 0, 10000, 100),),
        calls=(CallRow("nats:one", "one", 5.0), CallRow("nats:one", "one", 2.0)),
        calls_in_flight=7,
        reloads=9,
        hot_path="compiled",
    )
    return attrs.evolve(overview, **fields)  # type: ignore[arg-type]


def some_extras() -> Extras:
    """One duration in each."""
    histograms = [Histogram((1.0,)) for _ in range(4)]
    for histogram in histograms:
        histogram.add(0.5)
    handling, confirmation, lateness, turns = histograms
    return Extras({"nats:one": handling}, {"publish worker 1": confirmation}, lateness, turns, {"warn": 3, "error": 0})


class MetricsCase(SynchronousTestCase):
    """The text of one overview."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.overview = an_overview()
        self.extras = Extras()
        self.metrics = Metrics(self.clock, lambda: self.overview, lambda: self.extras)

    def text(self) -> bytes:
        asked = self.metrics.text()
        self.clock.pump([0] * 100)
        return self.successResultOf(asked)

    def value(self, name: str, /, **labels: str) -> float | None:
        """A sample; None if it is not there."""
        return samples(self.text()).get((name, frozenset(labels.items())))

    def values(self, prefix: str) -> dict[str, float]:
        """The samples whose names begin so, by the rest of the name. Each has one label at most, the same for all."""
        found = {name: value for (name, _), value in samples(self.text()).items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): value for name, value in found.items()}


class ValueTests(MetricsCase):
    """Each number of the overview."""

    def test_consumer(self) -> None:
        self.overview = an_overview(consumers=(a_consumer(unclaimed=0, unrouted=0, overflowed=0),))
        self.assertEqual(
            self.values("natsroute_consumer_"),
            {
                "messages_received_total": 100,
                "messages_succeeded_total": 50,
                "messages_failed_total": 20,
                "retries_total": 7,
                "messages_dead_lettered_total": 5,
                "messages_not_dead_lettered_total": 4,
                "messages_dropped_total": 0,
                "messages_handed_back_total": 6,
                "pending_messages": 21,
                "messages_in_progress": 10,
                "messages_waiting": 14,
                "last_delivery_timestamp_seconds": 196.5,
            },
        )

    def test_dropped(self) -> None:
        """By reason."""
        for reason, count in ("overflowed", 3), ("unclaimed", 2), ("unrouted", 1):
            value = self.value("natsroute_consumer_messages_dropped_total", consumer="one:q", reason=reason)
            self.assertEqual(value, count, reason)

    def test_no_stream(self) -> None:
        """Then nothing is still to be delivered."""
        self.overview = an_overview(consumers=(a_consumer(lag=None),))
        self.assertIsNone(self.value("natsroute_consumer_pending_messages", consumer="one:q"))

    def test_no_delivery_yet(self) -> None:
        """Then there is no time of the last one."""
        self.overview = an_overview(consumers=(a_consumer(idle=None),))
        self.assertIsNone(self.value("natsroute_consumer_last_delivery_timestamp_seconds", consumer="one:q"))

    def test_route(self) -> None:
        self.assertEqual(
            self.values("natsroute_route_"),
            {
                "messages_routed_total": 81,
                "messages_waiting": 1,
                "messages_in_progress": 10,
                "messages_succeeded_total": 50,
                "messages_failed_total": 20,
                "retries_total": 7,
                "messages_dead_lettered_total": 5,
                "messages_not_dead_lettered_total": 4,
            },
        )

    def test_publisher(self) -> None:
        """By worker, and what no worker has had."""
        self.assertEqual(
            self.values("natsroute_publisher_"),
            {
                "messages_published_total": 37,
                "messages_confirmed_total": 30,
                "messages_failed_total": 3,
                "messages_dropped_total": 1,
                "messages_resent_total": 2,
                "messages_rejected_total": 3,
                "messages_in_progress": 3,
                "buffer_bytes": 999,
                "buffer_limit_bytes": 10000,
                "buffer_limit_messages": 100,
            },
        )

    def test_connection(self) -> None:
        states = {"up", "state"}
        found = {name: value for name, value in self.values("natsroute_connection_").items() if name not in states}
        self.assertEqual(
            found,
            {
                "rtt_seconds": 0.25,
                "reconnects_total": 2,
                "messages_received_total": 10,
                "received_bytes_total": 1000,
                "messages_sent_total": 5,
                "sent_bytes_total": 500,
            },
        )

    def test_connection_state(self) -> None:
        """One sample for each state, and one of them is 1."""
        for state in State:
            self.overview = an_overview(connections=(a_connection("x", state.value),))
            found = {
                other: self.value("natsroute_connection_state", connection="x", state=other.value) for other in State
            }
            self.assertEqual(found, {other: int(other is state) for other in State})
            self.assertEqual(self.value("natsroute_connection_up", connection="x"), int(state.is_connected))

    def test_rtt_is_not_known(self) -> None:
        self.overview = an_overview(connections=(a_connection("x", rtt=None),))
        self.assertIsNone(self.value("natsroute_connection_rtt_seconds", connection="x"))

    def test_ready(self) -> None:
        self.assertEqual(self.value("natsroute_ready"), 1)
        self.assertEqual(self.value("natsroute_not_ready_reasons", code="starting"), 0)

    def test_not_ready(self) -> None:
        """The reasons are counted by their codes, also by one that this module does not know."""
        codes = ("not_connected", "not_connected", "new")
        self.overview = an_overview(reasons=tuple(Reason(code, "x", "y") for code in codes))
        self.assertEqual(self.value("natsroute_ready"), 0)
        self.assertEqual(self.value("natsroute_not_ready_reasons", code="not_connected"), 2)
        self.assertEqual(self.value("natsroute_not_ready_reasons", code="new"), 1)
        self.assertEqual(self.value("natsroute_not_ready_reasons", code="starting"), 0)

    def test_service(self) -> None:
        self.assertEqual(self.value("natsroute_info", name="natsroute", version="1.2", hot_path="compiled"), 1)
        self.assertEqual(self.value("natsroute_reloads_total"), 9)
        self.assertEqual(self.value("natsroute_calls_in_flight"), 7)
        self.assertEqual(self.value("natsroute_oldest_call_age_seconds"), 5.0)

    def test_no_call(self) -> None:
        self.overview = an_overview(calls=(), calls_in_flight=0)
        self.assertEqual(self.value("natsroute_oldest_call_age_seconds"), 0)

    def test_times(self) -> None:
        """The histograms."""
        self.extras = some_extras()
        for name, labels in (
            ("natsroute_route_handling_seconds", {"route": "nats:one"}),
            ("natsroute_publisher_confirmation_seconds", {"worker": "publish worker 1"}),
            ("natsroute_reactor_lateness_seconds", {}),
            ("natsroute_reactor_turn_seconds", {}),
        ):
            self.assertEqual(self.value(f"{name}_bucket", le="1.0", **labels), 1, name)
            self.assertEqual(self.value(f"{name}_bucket", le="+Inf", **labels), 1, name)
            self.assertEqual(self.value(f"{name}_count", **labels), 1, name)
            self.assertEqual(self.value(f"{name}_sum", **labels), 0.5, name)

    def test_log(self) -> None:
        """By level."""
        self.extras = some_extras()
        self.assertEqual(self.value("natsroute_log_messages_total", level="warn"), 3)
        self.assertEqual(self.value("natsroute_log_messages_total", level="error"), 0)

    def test_process(self) -> None:
        """The package's own metrics of the process are among them."""
        self.assertGreater(self.value("process_resident_memory_bytes") or 0, 1_000_000)
        self.assertGreater(self.value("process_cpu_seconds_total") or 0, 0)


class LabelTests(MetricsCase):
    """Names that the settings or the program give."""

    def test_hostile_names(self) -> None:
        """They come out of Prometheus' parser as they were."""
        for name in ('"} 1\nnatsroute_ready 1', "a\\b", "\u2028\u202e", "\0\x1b[31m", "ü" * 300, "{", " "):
            self.overview = an_overview(routes=(RouteRow(name, 81, 1, 10, 50, 20, 7, 5, 4),))
            self.assertEqual(self.value("natsroute_route_messages_routed_total", route=name), 81, name)

    def test_lone_surrogate(self) -> None:
        """Text from a command line may have one; UTF-8 does not."""
        self.overview = an_overview(routes=(RouteRow("a\udcffb", 81, 1, 10, 50, 20, 7, 5, 4),))
        self.assertEqual(self.value("natsroute_route_messages_routed_total", route="a\\udcffb"), 81)

    def test_same_entry_twice(self) -> None:
        """Each sample is there once, so the second consumer gets a number."""
        self.overview = an_overview(consumers=(a_consumer(), a_consumer(received=7)))
        self.assertEqual(self.value("natsroute_consumer_messages_received_total", consumer="one:q"), 100)
        self.assertEqual(self.value("natsroute_consumer_messages_received_total", consumer="one:q (2)"), 7)
        self.assertEqual(
            self.value("natsroute_consumer_messages_dropped_total", consumer="one:q (2)", reason="unrouted"), 1
        )


class FormatTests(MetricsCase):
    """What reads the text."""

    def setUp(self) -> None:
        super().setUp()
        self.extras = some_extras()

    def test_promtool(self) -> None:
        """Names, types and help follow Prometheus' conventions."""
        self.assertEqual(promtool("check", "metrics", text=self.text()), "")

    def test_all_metrics_are_there(self) -> None:
        """Each one of the table has a sample here, so the other tests see each."""
        text = self.text().decode()
        for metric in METRICS:
            self.assertIn(f"\n# TYPE {metric.name} {metric.kind}\n", f"\n{text}")

    def test_registry(self) -> None:
        """A registry of prometheus-client gives the same text, apart from what the process does meanwhile."""
        registry = CollectorRegistry()
        registry.register(self.metrics)
        self.assertEqual(_own_lines(generate_latest(registry)), _own_lines(self.text()))

    def test_openmetrics(self) -> None:
        """The same objects are valid in the other format."""
        registry = CollectorRegistry()
        registry.register(self.metrics)
        names = {family.name for family in parse_openmetrics(openmetrics_text(registry).decode())}
        self.assertTrue({metric.name.removesuffix("_total") for metric in METRICS} <= names)


def _own_lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if b"natsroute_" in line]


class SlowClock:
    """Each look at it takes a time, and each turn of the reactor is the test's."""

    def __init__(self) -> None:
        self.now = self.look_takes = 0.0
        self.calls: list[Callable[[], object]] = []

    def seconds(self) -> float:
        self.now += self.look_takes
        return self.now

    def callLater(self, delay: float, function: Callable[..., object], *arguments: object) -> None:
        self.calls.append(lambda: function(*arguments))

    def turn(self) -> None:
        """One turn of the reactor."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()

    def turns(self) -> int:
        """Turns until nothing is left to do."""
        count = 0
        while self.calls:
            self.turn()
            count += 1
        return count


class TurnTests(SynchronousTestCase):
    """A long text is made in several turns of the reactor."""

    def setUp(self) -> None:
        self.clock = SlowClock()
        self.asked_at: list[float] = []
        self.overview = an_overview(consumers=tuple(a_consumer(f"c{number}") for number in range(1000)))
        self.metrics = Metrics(self.clock, self.take)

    def take(self) -> Overview:
        self.asked_at.append(self.clock.now)
        return self.overview

    def test_quick(self) -> None:
        """What is quick is done in one turn."""
        self.successResultOf(self.metrics.text())
        self.assertEqual(self.clock.calls, [])

    def test_slow(self) -> None:
        """The values are those of the first turn, and each sample is there once."""
        self.clock.look_takes = MAX_TURN
        asked = self.metrics.text()
        self.assertNoResult(asked)
        self.overview = an_overview()
        self.assertGreater(self.clock.turns(), 50)
        found = samples(self.successResultOf(asked))
        received = [key for key in found if key[0] == "natsroute_consumer_messages_received_total"]
        self.assertEqual(len(received), 1000)

    def test_several_ask(self) -> None:
        """Those that ask while a text is made all get the next one: it is made after they asked."""
        self.clock.look_takes = MAX_TURN
        first = self.metrics.text()
        self.clock.turn()
        second, third = self.metrics.text(), self.metrics.text()
        self.overview = an_overview(reloads=10)
        self.clock.turns()
        self.assertEqual(samples(self.successResultOf(first))["natsroute_reloads_total", frozenset()], 9)
        text = self.successResultOf(second)
        self.assertEqual(samples(text)["natsroute_reloads_total", frozenset()], 10)
        self.assertIs(self.successResultOf(third), text)
        self.assertEqual(len(self.asked_at), 2)

    def test_cancelled(self) -> None:
        """Others still get theirs."""
        self.clock.look_takes = MAX_TURN
        first, second = self.metrics.text(), self.metrics.text()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.clock.turns()
        self.successResultOf(second)

    def test_overview_fails(self) -> None:
        """The error reaches whoever asked, and the next one can ask again."""

        def fail() -> Overview:
            raise ValueError("no overview")

        failing = Metrics(self.clock, fail)
        for _ in range(2):
            self.failureResultOf(failing.text(), ValueError)

    def test_value_fails(self) -> None:
        """Also in a later turn."""
        self.overview = an_overview(workers=(object(),))
        self.clock.look_takes = MAX_TURN
        asked = self.metrics.text()
        self.clock.turns()
        self.failureResultOf(asked, AttributeError)
        self.overview = an_overview()
        self.clock.look_takes = 0.0
        self.successResultOf(self.metrics.text())
