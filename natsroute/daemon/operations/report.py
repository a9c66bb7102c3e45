"""A report of a running service for its log: the ledger, the connections and the calls in flight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from natsroute.client.connection import Connection
from natsroute.ledger import Ledger
from natsroute.routes.in_flight import CallsInFlight

#: Calls in flight that a report names.
MAX_CALLS = 100


def report_lines(
    ledger: Ledger, connections: Iterable[tuple[str, Connection]], in_flight: CallsInFlight, now: float
) -> Iterator[str]:
    """
    The lines of a report.

    :param connections: each after what it is for.
    :param now: seconds on the reactor's clock.
    """
    yield from account_lines(ledger)
    for route in ledger.routes:
        yield (
            f"Event route {route.route}: {route.routed} routed = {route.succeeded} succeeded + {route.failed} failed + "
            f"{route.in_progress} in progress + {route.waiting} waiting"
        )
    for purpose, connection in connections:
        yield f"Connection {purpose}: {_connection(connection)}"
    yield from _calls(in_flight, now)


def account_lines(ledger: Ledger) -> Iterator[str]:
    """What became of the messages: a line for each consumer, one for the publisher, and one for requests if any."""
    for consumer in ledger.consumers:
        yield f"Consumer {consumer.name}: {consumer}"
    yield f"Publisher: {ledger.publisher}"
    if ledger.requests.requested:
        yield f"Requests: {ledger.requests}; {ledger.requests.late} late answers"


def _connection(connection: Connection) -> str:
    status = connection.status()
    words = [status.state.value]
    if status.server is not None:
        words.append(f"to {status.server}")
    parts = [" ".join(words)]
    if status.rtt is not None:
        parts.append(f"round trip {status.rtt * 1000:.1f} ms")
    parts.append(f"{status.reconnects} reconnects")
    parts.append(f"in {status.messages_in} messages, {status.bytes_in} bytes")
    parts.append(f"out {status.messages_out} messages, {status.bytes_out} bytes")
    if status.last_error is not None:
        parts.append(f"last error {status.last_error.text!r}")
    return "; ".join(parts)


def _calls(in_flight: CallsInFlight, now: float) -> Iterable[str]:
    calls = sorted(in_flight.running, key=lambda call: call.started)
    for call in calls[:MAX_CALLS]:
        about = f" on a message to {call.event.subject!r}" if call.event.subject else ""
        yield f"Call in flight: {call.event.name}{about} for {now - call.started:.1f} s"
    if len(calls) > MAX_CALLS:
        yield f"Calls in flight: {len(calls) - MAX_CALLS} more"
