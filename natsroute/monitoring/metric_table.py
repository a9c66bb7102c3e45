"""
The metrics: their names, types and labels, and where their values come from. This is the one list of them.

The names follow the conventions of Prometheus: base units, and ``_total`` for what only grows. The values of the labels
are names that the settings and the program give: consumers, event routes, publish workers and what connections are for.
No label has a subject of a message, so the number of samples is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from natsroute.client.state import State
from natsroute.monitoring.histogram import Histogram
from natsroute.monitoring.overview import Overview

#: The codes of the reasons for not being ready, each with a sample, 0 or not. See
#: :class:`~natsroute.monitoring.overview.Reason`.
REASONS = (
    "starting",
    "stopping",
    "failed",
    "not_connected",
    "not_subscribed",
    "not_consuming",
    "no_stream",
    "cannot_publish",
    "blocked_reactor",
)

#: The states of a connection in which it can do its work.
_UP = {state.value for state in State if state.is_connected}


@attrs.frozen
class Extras:
    """
    What the overview does not have: durations, and the number of log lines.

    :ivar handling: how long event routes take for a message, by route.
    :ivar confirmation: how long messages take from their publishing to their confirmation, by publish worker.
    :ivar lateness: how late the reactor is.
    :ivar turns: how long a turn of the reactor takes.
    :ivar logged: how many warnings and errors the log had, by level.
    """

    handling: Mapping[str, Histogram] = attrs.Factory(dict)
    confirmation: Mapping[str, Histogram] = attrs.Factory(dict)
    lateness: Histogram | None = None
    turns: Histogram | None = None
    logged: Mapping[str, int] = attrs.Factory(dict)


@attrs.frozen
class Snapshot:
    """What the values of all metrics are taken from, at one moment."""

    overview: Overview
    extras: Extras = Extras()


#: The values of the labels, and the value of a sample: a number, or a histogram.
Value = tuple[tuple[str, ...], Any]


@attrs.frozen
class Metric:
    """
    A metric.

    :ivar name: its name.
    :ivar kind: ``counter``, ``gauge`` or ``histogram``.
    :ivar help: what it says, in one sentence.
    :ivar labels: the names of its labels.
    :ivar values: gives its samples.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    values: Callable[[Snapshot], Iterable[Value]]


def _one(value: Callable[[Overview], float]) -> Callable[[Snapshot], Iterable[Value]]:
    """One sample without labels."""
    return lambda snapshot: [((), value(snapshot.overview))]


def _rows(rows: str, name: str, value: str) -> Callable[[Snapshot], Iterable[Value]]:
    """
    A sample for each row of the overview that has a value.

    :param rows: the field of the overview.
    :param name: the field of a row that becomes the label.
    :param value: the field of a row.
    """
    return lambda snapshot: (
        ((label,), found)
        for label, row in _labelled(getattr(snapshot.overview, rows), name)
        if (found := getattr(row, value)) is not None
    )


def _labelled(rows: Sequence[Any], name: str) -> Iterator[tuple[str, Any]]:
    """Each row after its label. If an entry of the settings is there twice, the second label ends with ``(2)``."""
    seen: dict[str, int] = {}
    for row in rows:
        label = getattr(row, name)
        seen[label] = number = seen.get(label, 0) + 1
        yield (label if number == 1 else f"{label} ({number})"), row


def _consumer(name: str, kind: str, help: str, field: str) -> Metric:
    return Metric(f"natsroute_consumer_{name}", kind, help, ("consumer",), _rows("consumers", "name", field))


def _route(name: str, kind: str, help: str, field: str) -> Metric:
    return Metric(f"natsroute_route_{name}", kind, help, ("route",), _rows("routes", "route", field))


def _worker(name: str, kind: str, help: str, field: str) -> Metric:
    return Metric(f"natsroute_publisher_{name}", kind, help, ("worker",), _rows("workers", "name", field))


def _requests(name: str, kind: str, help: str, field: str) -> Metric:
    return Metric(f"natsroute_{name}", kind, help, (), _one(lambda overview: getattr(overview.requests, field)))


def _connection(name: str, kind: str, help: str, field: str) -> Metric:
    labels = ("connection",)
    return Metric(f"natsroute_connection_{name}", kind, help, labels, _rows("connections", "purpose", field))


def _info(snapshot: Snapshot) -> Iterator[Value]:
    overview = snapshot.overview
    yield (overview.name, overview.version, overview.hot_path), 1


def _reasons(snapshot: Snapshot) -> Iterator[Value]:
    counts = dict.fromkeys(REASONS, 0)
    for reason in snapshot.overview.reasons:
        counts[reason.code] = counts.get(reason.code, 0) + 1
    for code, count in counts.items():
        yield (code,), count


def _dropped(snapshot: Snapshot) -> Iterator[Value]:
    for label, row in _labelled(snapshot.overview.consumers, "name"):
        for reason in ("overflowed", "unclaimed", "unrouted"):
            yield (label, reason), getattr(row, reason)


def _lags(snapshot: Snapshot) -> Iterator[Value]:
    for label, row in _labelled(snapshot.overview.consumers, "name"):
        if row.lag is not None:
            yield (label,), row.lag


def _last_deliveries(snapshot: Snapshot) -> Iterator[Value]:
    for label, row in _labelled(snapshot.overview.consumers, "name"):
        if row.idle is not None:
            yield (label,), round(snapshot.overview.time - row.idle, 3)


def _up(snapshot: Snapshot) -> Iterator[Value]:
    for label, row in _labelled(snapshot.overview.connections, "purpose"):
        yield (label,), int(row.state in _UP)


def _states(snapshot: Snapshot) -> Iterator[Value]:
    for label, row in _labelled(snapshot.overview.connections, "purpose"):
        for state in State:
            yield (label, state.value), int(row.state == state.value)


def _rejected(overview: Overview) -> int:
    """Messages that failed before a worker had them."""
    return overview.publisher.failed - sum(row.failed for row in overview.workers)


def _oldest(overview: Overview) -> float:
    return max((call.age for call in overview.calls), default=0.0)


def _by_name(histograms: str) -> Callable[[Snapshot], Iterable[Value]]:
    return lambda snapshot: (((name,), histogram) for name, histogram in getattr(snapshot.extras, histograms).items())


def _logged(snapshot: Snapshot) -> Iterator[Value]:
    for level, count in snapshot.extras.logged.items():
        yield (level,), count


def _only(histogram: str) -> Callable[[Snapshot], Iterable[Value]]:
    def values(snapshot: Snapshot) -> Iterator[Value]:
        found = getattr(snapshot.extras, histogram)
        if found is not None:
            yield (), found

    return values


#: All metrics, in the order in which they are shown.
METRICS: tuple[Metric, ...] = (
    Metric(
        "natsroute_info",
        "gauge",
        "Always 1; the labels tell the service, its version, and which hot path runs",
        ("name", "version", "hot_path"),
        _info,
    ),
    Metric("natsroute_ready", "gauge", "Whether the service is ready", (), _one(lambda overview: int(overview.ready))),
    Metric("natsroute_not_ready_reasons", "gauge", "Reasons why the service is not ready", ("code",), _reasons),
    Metric(
        "natsroute_reloads_total",
        "counter",
        "How often the code was loaded anew",
        (),
        _one(lambda overview: overview.reloads),
    ),
    Metric(
        "natsroute_calls_in_flight",
        "gauge",
        "Calls of event routes that have begun and not ended",
        (),
        _one(lambda overview: overview.calls_in_flight),
    ),
    Metric(
        "natsroute_oldest_call_age_seconds",
        "gauge",
        "Seconds since the oldest call in flight began; 0 if there is none",
        (),
        _one(_oldest),
    ),
    Metric("natsroute_log_messages_total", "counter", "Warnings and errors in the log", ("level",), _logged),
    _consumer("messages_received_total", "counter", "Messages received", "received"),
    _consumer("messages_succeeded_total", "counter", "Messages whose call ended well", "succeeded"),
    _consumer("messages_failed_total", "counter", "Messages whose call failed, after all retries", "failed"),
    _consumer("retries_total", "counter", "Retries after a failed call", "retried"),
    _consumer(
        "messages_dead_lettered_total",
        "counter",
        "Failed messages that were published to a dead-letter subject",
        "dead_lettered",
    ),
    _consumer(
        "messages_not_dead_lettered_total",
        "counter",
        "Failed messages that could not be published to a dead-letter subject",
        "not_dead_lettered",
    ),
    Metric(
        "natsroute_consumer_messages_dropped_total",
        "counter",
        "Messages that no event route was called for: too many were pending (overflowed), the subscription had ended "
        "(unclaimed), or no event route matched (unrouted)",
        ("consumer", "reason"),
        _dropped,
    ),
    _consumer(
        "messages_handed_back_total",
        "counter",
        "Messages given back to their stream, which delivers them again; each delivery counts as a message",
        "handed_back",
    ),
    Metric(
        "natsroute_consumer_pending_messages",
        "gauge",
        "Messages of a stream that its consumer has not delivered yet; no sample for other consumers",
        ("consumer",),
        _lags,
    ),
    _consumer("messages_waiting", "gauge", "Messages that wait because their event route is busy", "waiting"),
    _consumer("messages_in_progress", "gauge", "Messages whose call has begun and not ended", "in_progress"),
    Metric(
        "natsroute_consumer_last_delivery_timestamp_seconds",
        "gauge",
        "Unix time at which the last message was received, within a second; no sample before the first message",
        ("consumer",),
        _last_deliveries,
    ),
    _route("messages_routed_total", "counter", "Messages and connection events given to the event route", "routed"),
    _route("messages_succeeded_total", "counter", "Calls that ended well", "succeeded"),
    _route("messages_failed_total", "counter", "Calls that failed, after all retries", "failed"),
    _route("retries_total", "counter", "Retries after a failed call", "retried"),
    _route(
        "messages_dead_lettered_total",
        "counter",
        "Failed messages that were published to a dead-letter subject",
        "dead_lettered",
    ),
    _route(
        "messages_not_dead_lettered_total",
        "counter",
        "Failed messages that could not be published to a dead-letter subject",
        "not_dead_lettered",
    ),
    _route("messages_waiting", "gauge", "Messages that wait behind another one with the same key", "waiting"),
    _route("messages_in_progress", "gauge", "Messages whose call has begun and not ended", "in_progress"),
    Metric(
        "natsroute_route_handling_seconds",
        "histogram",
        "How long calls of the event route took, with retries; calls that end at once are sampled",
        ("route",),
        _by_name("handling"),
    ),
    _worker("messages_published_total", "counter", "Messages given to the publish worker", "published"),
    _worker("messages_confirmed_total", "counter", "Messages that the server has confirmed", "confirmed"),
    _worker("messages_failed_total", "counter", "Messages that were not published", "failed"),
    _worker("messages_dropped_total", "counter", "Messages dropped by the policy 'drop'", "dropped"),
    _worker("messages_resent_total", "counter", "Messages sent again after a reconnect", "resent"),
    Metric(
        "natsroute_publisher_messages_rejected_total",
        "counter",
        "Messages that failed before they were given to a publish worker, such as those with an invalid subject",
        (),
        _one(_rejected),
    ),
    _worker("messages_in_progress", "gauge", "Messages that are neither confirmed nor failed", "in_progress"),
    _worker("buffer_bytes", "gauge", "Bytes of the messages that are not confirmed", "bytes_held"),
    _worker("buffer_limit_bytes", "gauge", "Bytes that the publish worker may hold", "bytes_limit"),
    _worker("buffer_limit_messages", "gauge", "Messages that the publish worker may hold", "messages_limit"),
    Metric(
        "natsroute_publisher_confirmation_seconds",
        "histogram",
        "How long messages took from publishing to confirmation; a batch counts from its first message",
        ("worker",),
        _by_name("confirmation"),
    ),
    _requests("requests_total", "counter", "Requests sent, those to JetStream included", "requested"),
    _requests("requests_answered_total", "counter", "Requests that were answered", "answered"),
    _requests("requests_failed_total", "counter", "Requests that failed or were cancelled", "failed"),
    _requests("requests_in_progress", "gauge", "Requests that wait for their answer", "in_progress"),
    _requests("requests_late_answers_total", "counter", "Answers that came after their requests had ended", "late"),
    Metric(
        "natsroute_connection_up",
        "gauge",
        "Whether the connection is connected, and the server has its subscription",
        ("connection",),
        _up,
    ),
    Metric(
        "natsroute_connection_state",
        "gauge",
        "1 for the state that the connection is in, 0 for the others",
        ("connection", "state"),
        _states,
    ),
    _connection(
        "rtt_seconds", "gauge", "Seconds between the last PING and its PONG; no sample before the first PONG", "rtt"
    ),
    _connection("reconnects_total", "counter", "How often it has connected again", "reconnects"),
    _connection("messages_received_total", "counter", "Messages received", "messages_in"),
    _connection("received_bytes_total", "counter", "Bytes received, after decryption", "bytes_in"),
    _connection(
        "messages_sent_total", "counter", "Messages published; one that is sent again counts again", "messages_out"
    ),
    _connection("sent_bytes_total", "counter", "Bytes sent, before encryption", "bytes_out"),
    Metric(
        "natsroute_reactor_lateness_seconds",
        "histogram",
        "How late the reactor is for what is due",
        (),
        _only("lateness"),
    ),
    Metric("natsroute_reactor_turn_seconds", "histogram", "How long a turn of the reactor takes", (), _only("turns")),
)
