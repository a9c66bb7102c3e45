"""The composition root: builds the parts of natsroute and joins them. No other module knows all of them."""

from __future__ import annotations

from itertools import chain
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from natsroute.client.auth import CredentialsSource
from natsroute.client.connection import Connection
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.daemon.connection_events import ConnectionEvents
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.connections import Connections
from natsroute.daemon.consumer import Consumer, Consumers
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.daemon.queue_entry import QueueEntry
from natsroute.daemon.routing import Routing
from natsroute.daemon.settings import Settings
from natsroute.daemon.shutdown import Shutdown
from natsroute.daemon.startup import Startup
from natsroute.daemon.threads import Threads
from natsroute.errors import PendingLimitError, PermissionsError, ServerError, ServerLeftError
from natsroute.ledger import Ledger, RouteCounters
from natsroute.publishing.publisher import Publisher, unique_ids
from natsroute.publishing.worker import PublishWorker
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import ConnectionRunner, Runner, RunnerContext


class NatsrouteService(Service):
    """
    natsroute as a Twisted service.

    :param settings: all settings.
    :param event_routes: event routes of the program, in addition to those that ``settings.event_routes`` names.
    :param credentials: called before each attempt to connect, for logins that change, instead of the login of the
        settings. It returns :class:`~natsroute.client.auth.Credentials`, or an awaitable of them.
    :param reactor: the global reactor if left out.
    :raises SettingError: a routes file or a callback cannot be loaded, a file of credentials or certificates cannot be
        used, or ``embedded_server`` is set and there is no nats-server.

    :ivar settings: the settings.
    :ivar consumers: one for each ``subject_queue_group``.
    :ivar publisher: publishes for the routes and for the program.
    :ivar publish: publishes a message: :meth:`Publisher.publish <natsroute.publishing.publisher.Publisher.publish>`.
    :ivar nats_publish: the same, under the name of Kamailio's function.
    :ivar in_flight: the calls of event routes that have not ended.
    """

    log = Logger()
    name = "natsroute"

    def __init__(
        self,
        settings: Settings,
        event_routes: EventRoutes | None = None,
        *,
        credentials: CredentialsSource | None = None,
        reactor: Any = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self.settings = settings
        self._reactor = reactor
        self._connection_log = ConnectionLog(reactor)
        with settings.origins.in_errors():
            self._connections = Connections(reactor, settings, credentials, self._connection_log)
            self._embedded = EmbeddedServer(reactor) if settings.embedded_server else None
            self._routing = Routing(settings, event_routes)
        self._publish_threads = Threads(reactor, "natsroute publish", settings.num_publish_workers)
        self._route_threads = Threads(reactor, "natsroute routes", settings.route_threads)
        self.in_flight = CallsInFlight(reactor, slow_after=settings.slow_route_warning)
        self.consumers = Consumers(self.in_flight)

        numbers = range(1, settings.num_publish_workers + 1)
        publish_connections = [self._connections.new(f"publish worker {number}") for number in numbers]
        self.publisher = Publisher(
            publish_connections,
            reactor,
            run_in_pool=self._publish_threads.run,
            call_from_thread=reactor.callFromThread,
            limits=settings.publish_limits,
            on_high_water=self.consumers.hold,
            on_low_water=self.consumers.release,
            message_ids=unique_ids() if settings.publish_msg_id else None,
        )
        # Bound once: a method that passes the call on would add a fifth to the cost of publishing bytes.
        self.publish = self.nats_publish = self.publisher.publish
        self._runner_context = RunnerContext(self.publish, reactor, self._route_threads.run, self.in_flight)
        self._connection_events: list[ConnectionEvents] = []
        for connection, worker in zip(publish_connections, self.publisher.workers):
            _join(connection, worker)
            self._run_events_of(connection)
        for entry in settings.subject_queue_group:
            self.consumers.add(self._consumer(entry))

        self._startup = Startup(self._connections, self._embedded, on_connecting=self.consumers.resume)
        self._shutdown = Shutdown(
            reactor,
            self.consumers,
            settings.drain_timeout,
            self.publisher.stop,
            publish_connections,
            [self._publish_threads, self._route_threads],
            self._embedded,
        )

    def _consumer(self, entry: QueueEntry) -> Consumer:
        purpose = f"consumer {entry}"
        connection = self._connections.new(purpose)
        events = self._run_events_of(connection, entry.queue_group)
        runner = Runner(
            self._routing.for_entry(entry), self._runner_context, subject=entry.subject, queue_group=entry.queue_group
        )

        def on_overflow(error: PendingLimitError) -> None:
            self._connection_log.overflow(purpose, error)
            events.on_overflow(error)

        return Consumer.subscribe(entry, connection, runner, self.settings.pending_limits, on_overflow)

    def _run_events_of(self, connection: Connection, queue_group: str | None = None) -> ConnectionEvents:
        runner = ConnectionRunner(self._routing.for_connections, self._runner_context, queue_group=queue_group)
        self._connection_events.append(ConnectionEvents(connection, runner))
        return self._connection_events[-1]

    def flush(self) -> Deferred[None]:
        """
        Wait for what was published so far.

        :return: fires when each message is confirmed or has failed.
        """
        return self.publisher.flush()

    @property
    def connections(self) -> list[Connection]:
        """All connections, those of the publish workers first. Each has a :meth:`Connection.status`."""
        return list(self._connections.all)

    @property
    def connected(self) -> bool:
        """Whether each connection is connected, and the server has its subscription."""
        return self._connections.connected

    def ledger(self) -> Ledger:
        """What became of each message so far. It adds up at any moment."""
        route_counters: dict[str, list[RouteCounters]] = {}
        parts = [events.route_counters for events in self._connection_events]
        parts += [consumer.runner.route_counters for consumer in self.consumers]
        for counters in chain.from_iterable(parts):
            route_counters.setdefault(counters.route, []).append(counters)
        return Ledger(
            tuple(consumer.account() for consumer in self.consumers),
            tuple(RouteCounters.total(route, several) for route, several in route_counters.items()),
            self.publisher.account(),
        )

    def startService(self) -> None:
        super().startService()
        self._shutdown.prepare()
        self.publisher.start()
        self._publish_threads.startService()
        self._route_threads.startService()
        self._startup.log_plan(self.settings, self._routing)
        self._startup.begin()

    def stopService(self) -> Deferred[None]:
        """
        Stop in order: take no new messages, wait up to ``drain_timeout`` seconds until those received are handled,
        cancel the calls that are still running, wait up to 5 seconds for the server to confirm what was published, and
        close the connections.

        :return: fires in the reactor's thread when everything has stopped. To cancel it only ends the wait: the service
            stops all the same.
        """
        if not self.running:
            return succeed(None)
        super().stopService()
        self._startup.cancel()
        # A route may wait for this Deferred. When its call is cancelled, that must not cancel the stop.
        stopped: Deferred[None] = Deferred()
        Deferred.fromCoroutine(self._stop()).chainDeferred(stopped)
        return stopped

    def skip_drain(self) -> None:
        """Stop waiting for messages to be handled and for confirmations, if the service is stopping."""
        self._shutdown.skip_drain()

    async def _stop(self) -> None:
        await self._shutdown.run()
        ledger = self.ledger()
        for consumer in ledger.consumers:
            self.log.info("Consumer {name}: {account}", name=consumer.name, account=str(consumer))
        self.log.info("Publisher: {account}", account=str(ledger.publisher))


def _join(connection: Connection, worker: PublishWorker) -> None:
    """Tell a publish worker what happens to its connection."""

    def on_change(change: Change) -> None:
        if change.event is ConnectionEvent.CONNECTED:
            worker.connected()
        elif change.event is ConnectionEvent.DISCONNECTED:
            worker.disconnected(cleanly=isinstance(change.reason, ServerLeftError))

    def on_error(error: ServerError) -> None:
        if isinstance(error, PermissionsError):
            worker.refused(error)

    connection.observe(on_change)
    connection.observe_errors(on_error)
