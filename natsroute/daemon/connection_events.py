"""Which change of a connection runs which event route."""

from __future__ import annotations

from natsroute.client.connection import Connection
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import NatsrouteError, PendingLimitError, ServerError, SlowConsumerError
from natsroute.ledger import RouteCounters
from natsroute.routes.route import CONNECTED, DISCONNECTED, ERROR, SLOW_CONSUMER
from natsroute.routes.runner import ConnectionRunner

_NAMES = {ConnectionEvent.CONNECTED: CONNECTED, ConnectionEvent.DISCONNECTED: DISCONNECTED}


class ConnectionEvents:
    """
    Runs ``nats:connected``, ``nats:disconnected``, ``nats:error`` and ``nats:slow_consumer`` for one connection.

    :param connection: is observed from now on.
    :param runner: runs the routes.
    """

    def __init__(self, connection: Connection, runner: ConnectionRunner) -> None:
        self._connection = connection
        self._runner = runner
        connection.observe(self._on_change)
        connection.observe_errors(self._on_error)

    @property
    def route_counters(self) -> list[RouteCounters]:
        """One for each route that has had an event."""
        return self._runner.route_counters

    def on_overflow(self, error: PendingLimitError) -> None:
        """More messages wait for the consumer's routes than may."""
        self._fire(SLOW_CONSUMER, error)

    def _on_change(self, change: Change) -> None:
        if isinstance(change.reason, SlowConsumerError):
            self._fire(SLOW_CONSUMER, change.reason, change.server)
        if change.event in _NAMES:
            self._runner.fire(_NAMES[change.event], str(change.server))
        elif isinstance(change.reason, ServerError):
            self._fire(ERROR, change.reason, change.server)

    def _on_error(self, error: ServerError) -> None:
        self._fire(ERROR, error)

    def _fire(self, name: str, error: NatsrouteError, server: object = None) -> None:
        self._runner.fire(name, str(server or self._connection.status().server or ""), error)
