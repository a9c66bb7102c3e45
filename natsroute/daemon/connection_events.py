"""Which change of a connection runs which event route."""

from __future__ import annotations

from collections import deque

from natsroute.client.connection import Connection
from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import NatsrouteError, PendingLimitError, ServerError, SlowConsumerError
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Expressions
from natsroute.routes.route import CONNECTED, DISCONNECTED, ERROR, SLOW_CONSUMER
from natsroute.routes.runner import ConnectionRunner, FindRoute

#: Events that are kept while no routes may run: a server may be lost again and again in that time.
MAX_HELD = 100


class ConnectionEvents:
    """
    Runs ``nats:connected``, ``nats:disconnected``, ``nats:error`` and ``nats:slow_consumer`` for one connection.

    :param connection: is observed from now on.
    :param runner: runs the routes.
    """

    def __init__(self, connection: Connection, runner: ConnectionRunner) -> None:
        self._connection = connection
        self._runner = runner
        self._was_connected = False  # since the last nats:disconnected
        self._held: deque[tuple[str, str, NatsrouteError | None]] | None = None
        connection.observe(self._on_change)
        connection.observe_errors(self._on_error)

    @property
    def route_counters(self) -> list[RouteCounters]:
        """One for each route that has had an event."""
        return self._runner.route_counters

    def go_over(self, find: FindRoute, expressions: Expressions | None, version: object) -> None:
        """See :meth:`ConnectionRunner.go_over() <natsroute.routes.runner.ConnectionRunner.go_over>`."""
        self._runner.go_over(find, expressions, version)

    def has_left(self, version: object) -> bool:
        """See :meth:`ConnectionRunner.has_left() <natsroute.routes.runner.ConnectionRunner.has_left>`."""
        return self._runner.has_left(version)

    def hold(self) -> None:
        """Run no routes before :meth:`release`. The last ``MAX_HELD`` events are kept for it."""
        if self._held is None:
            self._held = deque(maxlen=MAX_HELD)

    def release(self) -> None:
        """Undo :meth:`hold`: run the routes of the events that came since then."""
        held, self._held = self._held or (), None
        for event in held:
            self._runner.fire(*event)

    def on_overflow(self, error: PendingLimitError) -> None:
        """More messages wait for the consumer's routes than may."""
        self._fire(SLOW_CONSUMER, error)

    def _on_change(self, change: Change) -> None:
        if isinstance(change.reason, SlowConsumerError):
            self._fire(SLOW_CONSUMER, change.reason, change.server)
        if change.event is ConnectionEvent.CONNECTED:
            self._was_connected = True
            self._run(CONNECTED, str(change.server))
        elif change.event is ConnectionEvent.DISCONNECTED:
            if self._was_connected:
                self._was_connected = False
                self._run(DISCONNECTED, str(change.server))
        elif change.event is ConnectionEvent.REFUSED:
            pass  # the error itself follows
        elif isinstance(change.reason, ServerError):
            self._fire(ERROR, change.reason, change.server)

    def _on_error(self, error: ServerError, server: Server) -> None:
        self._fire(ERROR, error, server)

    def _fire(self, name: str, error: NatsrouteError, server: object = None) -> None:
        self._run(name, str(server or self._connection.status().server or ""), error)

    def _run(self, name: str, server: str, error: NatsrouteError | None = None) -> None:
        if self._held is None:
            self._runner.fire(name, server, error)
        else:
            self._held.append((name, server, error))
