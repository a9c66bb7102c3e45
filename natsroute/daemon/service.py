"""The composition root: builds the rooms and joins them. It alone knows them all."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any
from typing import Protocol as Interface

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute._version import __version__
from natsroute.client.auth import CredentialsSource
from natsroute.client.connection import Connection
from natsroute.client.server_pool import ServerPool
from natsroute.client.servers import parse_url
from natsroute.client.status import Change, State
from natsroute.client.subscription import Subscription
from natsroute.client.transport.websocket import with_autobahn
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.credentials import checked_tls, credentials_source
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.daemon.routing import Routing
from natsroute.daemon.settings import QueueEntry, Settings
from natsroute.daemon.signals import call_at_next_signal
from natsroute.daemon.threads import Threads
from natsroute.errors import (
    NatsrouteError,
    PendingLimitError,
    PermissionsError,
    ServerError,
    ServerLeftError,
    SlowConsumerError,
)
from natsroute.ledger import ConsumerAccount, Ledger, RouteCounters
from natsroute.publishing.publisher import Publisher, unique_ids
from natsroute.publishing.worker import PublishWorker
from natsroute.routes.calls import CallsInFlight
from natsroute.routes.event import Event
from natsroute.routes.runner import ConnectionRunner, Runner, RunnerContext
from natsroute.routes.table import CONNECTED, DISCONNECTED, ERROR, PREFIX, SLOW_CONSUMER, EventRoutes

#: Seconds that the end waits for the server to confirm what was published.
FLUSH_TIMEOUT = 5.0


class _Fire(Interface):
    """Runs the route of an event of one connection."""

    def __call__(self, name: str, error: NatsrouteError) -> None: ...


@attrs.frozen
class Consumer:
    """One ``subject_queue_group`` at work."""

    entry: QueueEntry
    connection: Connection
    runner: Runner
    subscription: Subscription

    def account(self) -> ConsumerAccount:
        """What became of its messages so far."""
        return ConsumerAccount(
            name=str(self.entry),
            received=self.subscription.received,
            pending=self.subscription.pending,
            overflowed=self.subscription.dropped,
            unrouted=self.runner.unrouted,
            routes=RouteCounters.total("", self.runner.route_counters),
        )


class NatsrouteService(Service):
    """
    natsroute as a Twisted service.

    :param settings: all that can be set.
    :param event_routes: event routes of the program itself, beside those that ``settings.event_routes`` names.
    :param credentials: says who we are instead of the settings, for logins that change: called before each attempt to
        connect, gives :class:`~natsroute.client.auth.Credentials`, or an awaitable of them.
    :param reactor: the global one, if left out.
    :raises SettingError: a routes file or a callback cannot be loaded, a file of credentials or certificates is not
        what it should be, or there is no nats-server to embed.

    :ivar consumers: one for each ``subject_queue_group``.
    :ivar publisher: publishes for the routes and for the program.
    :ivar publish: publishes a message: the publisher's own :meth:`~natsroute.publishing.publisher.Publisher.publish`.
    :ivar nats_publish: the same, by the name that the function has in a Kamailio script.
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
        self._credentials = credentials or credentials_source(settings)
        self._tls = checked_tls(settings)
        for server in settings.servers:
            if server.web:
                with_autobahn(str(server))
        self._embedded = EmbeddedServer(reactor) if settings.embedded_server else None
        self._pools: list[ServerPool] = []
        self._drain_skipped = False
        self._shutdown: Any = None
        self._announcements = ConnectionLog(reactor)
        self._publish_threads = Threads(reactor, "natsroute publish", settings.num_publish_workers)
        self._route_threads = Threads(reactor, "natsroute routes", settings.route_threads)
        self.in_flight = CallsInFlight(reactor, slow_after=settings.slow_route_warning)

        self._routing = Routing(settings, event_routes)
        self._publish_connections = [
            self._connection(f"publish worker {number}") for number in range(1, settings.num_publish_workers + 1)
        ]
        self.publisher = Publisher(
            self._publish_connections,
            reactor,
            run_in_pool=self._publish_threads.run,
            call_from_thread=reactor.callFromThread,
            limits=settings.publish_limits,
            on_high_water=self._hold_consumers,
            on_low_water=self._release_consumers,
            message_ids=unique_ids() if settings.publish_msg_id else None,
        )
        # Not a method that hands it on: for bytes that would be a fifth of what publishing costs.
        self.publish = self.nats_publish = self.publisher.publish
        self._means = RunnerContext(self.publish, reactor, self._route_threads.run, self.in_flight)
        self._connection_runners: list[ConnectionRunner] = []
        for connection, worker in zip(self._publish_connections, self.publisher.workers):
            _join(connection, worker)
            self._fire_connection_events(connection)
        self.consumers = [self._consumer(entry) for entry in settings.subject_queue_group]

    # -- for the program around it --------------------------------------------------------------------------------

    def flush(self) -> Deferred[None]:
        """Fires when all that was published is confirmed, or has failed."""
        return self.publisher.flush()

    @property
    def connections(self) -> list[Connection]:
        """All connections, those of the publish workers first; each has a :meth:`Connection.status`."""
        return [*self._publish_connections, *(consumer.connection for consumer in self.consumers)]

    def ledger(self) -> Ledger:
        """What became of each message so far; it adds up at any moment."""
        route_counters: dict[str, list[RouteCounters]] = {}
        parts = [runner.route_counters for runner in self._connection_runners]
        parts += [consumer.runner.route_counters for consumer in self.consumers]
        for counters in chain.from_iterable(parts):
            route_counters.setdefault(counters.route, []).append(counters)
        return Ledger(
            tuple(consumer.account() for consumer in self.consumers),
            tuple(RouteCounters.total(route, those) for route, those in route_counters.items()),
            self.publisher.account(),
        )

    @property
    def connected(self) -> bool:
        """Whether each connection has a server, and the server has its subscription."""
        return all(connection.state is State.CONNECTED for connection in self.connections)

    def startService(self) -> None:
        super().startService()
        self._drain_skipped = False
        self._shutdown = self._reactor.addSystemEventTrigger("before", "shutdown", self._shutting_down)
        self.publisher.start()
        self._publish_threads.startService()
        self._route_threads.startService()
        self._tell_start()
        if self._embedded is None:
            self._start_connections()
        else:
            self._embedded.start().addCallbacks(self._use_embedded, self._embedded_failed)

    def stopService(self) -> Deferred[None]:
        """
        Take no new messages, wait up to ``drain_timeout`` until those that came are handled, cancel the calls that last
        longer, and wait up to 5 s for the server to confirm what was published; then close.

        :return: fires when all is closed. To cancel it is to wait no longer; the service stops all the same.
        """
        if not self.running:
            return succeed(None)
        super().stopService()
        # A route may be waiting for this: when its call is cancelled, it must not cancel what does so.
        stopped: Deferred[None] = Deferred()
        Deferred.fromCoroutine(self._stop()).chainDeferred(stopped)
        return stopped

    def skip_drain(self) -> None:
        """Wait no longer for messages to be handled, if that is what the end waits for."""
        self._drain_skipped = True

    # -- building ---------------------------------------------------------------------------------------------------

    def _connection(self, purpose: str) -> Connection:
        settings = self.settings
        # The embedded server's address is not known before it runs.
        servers = ServerPool(
            () if settings.embedded_server else settings.servers,
            settings.backoff,
            keep_order=settings.keep_url_order,
            max_failures=settings.max_reconnect_attempts,
            discover=not settings.ignore_discovered_servers,
        )
        self._pools.append(servers)
        connection = Connection(
            self._reactor,
            servers,
            client_name=f"{settings.client_name} {purpose}",
            credentials=self._credentials,
            tls=self._tls,
            require_tls=settings.require_tls,
            timing=settings.timing,
            message_type=Event,
        )
        self._announcements.watch(purpose, connection)
        return connection

    def _consumer(self, entry: QueueEntry) -> Consumer:
        purpose = f"consumer {entry}"
        connection = self._connection(purpose)
        fire = self._fire_connection_events(connection, entry.queue_group)
        runner = Runner(
            self._routing.for_entry(entry), self._means, subject=entry.subject, queue_group=entry.queue_group
        )

        def overflowed(error: PendingLimitError) -> None:
            self._announcements.slow(purpose, error)
            fire(SLOW_CONSUMER, error)

        subscription = connection.subscribe(
            entry.subject, runner.on_msg, entry.queue_group, self.settings.pending_limits, overflowed
        )
        return Consumer(entry, connection, runner, subscription)

    def _fire_connection_events(self, connection: Connection, queue_group: str | None = None) -> _Fire:
        """Run the routes of what the connection tells; the result runs one for what it is told."""
        runner = ConnectionRunner(self._routing.for_connections, self._means, queue_group=queue_group)
        self._connection_runners.append(runner)
        names = {State.CONNECTED: CONNECTED, State.DISCONNECTED: DISCONNECTED}

        def fire(name: str, error: NatsrouteError, server: object = None) -> None:
            runner.fire(name, str(server or connection.status().server or ""), error)

        def changed(change: Change) -> None:
            if isinstance(change.reason, SlowConsumerError):
                fire(SLOW_CONSUMER, change.reason, change.server)
            if change.state in names:
                runner.fire(names[change.state], str(change.server))
            elif isinstance(change.reason, ServerError):
                fire(ERROR, change.reason, change.server)

        connection.observe(changed)
        connection.observe_errors(partial(fire, ERROR))
        return fire

    def _hold_consumers(self) -> None:
        """A publish worker is half full: the routes that fill it get no messages until it has room again."""
        for consumer in self.consumers:
            consumer.subscription.hold()

    def _release_consumers(self) -> None:
        for consumer in self.consumers:
            consumer.subscription.release()

    # -- starting and stopping ----------------------------------------------------------------------------------------

    def _tell_start(self) -> None:
        settings = self.settings
        servers = "the embedded server" if self._embedded else ", ".join(map(str, settings.servers))
        self.log.info(
            "natsroute {version}: NATS servers: {servers}; publish workers: {workers}",
            version=__version__.public(),
            servers=servers,
            workers=settings.num_publish_workers,
        )
        if not self.consumers:
            self.log.warn("No subject_queue_group is set: nothing is consumed, natsroute only publishes")
        for entry in settings.subject_queue_group:
            routes = self._routing.names(entry)
            if routes:
                self.log.info("Consumer {entry} -> {routes}", entry=str(entry), routes=", ".join(routes))
            else:
                self.log.warn(
                    "Consumer {entry} has no event route: add one named {name!r}",
                    entry=str(entry),
                    name=PREFIX + entry.subject,
                )

    def _use_embedded(self, url: str) -> None:
        for pool in self._pools:
            pool.use(parse_url(url))
        self._start_connections()

    def _embedded_failed(self, failure: Failure) -> None:
        if self.running:
            self.log.error("The embedded server is not there: {reason}", reason=failure.getErrorMessage())

    def _start_connections(self) -> None:
        if self.running:
            for connection in self.connections:
                connection.startService()
            if self.in_flight.stopped:
                self._take_up()

    async def _drain(self) -> None:
        arrived = gatherResults([consumer.connection.drain() for consumer in self.consumers])
        give_up = self._reactor.seconds() + self.settings.drain_timeout
        while not (arrived.called and self._idle) and not self._drain_skipped and self._reactor.seconds() < give_up:
            await deferLater(self._reactor, 0.01)
        if not (arrived.called and self._idle):
            self._cut_off()

    def _cut_off(self) -> None:
        """Begin nothing more; name what was not handled to the end, and cancel what is running."""
        left = self.in_flight.unfinished
        for consumer in self.consumers:
            consumer.subscription.hold()
            left += consumer.subscription.pending_subjects
        if left:
            subjects = ", ".join(sorted(set(left))[:10])
            self.log.error(
                "{count} messages were received and not handled to the end, to {subjects}",
                count=len(left),
                subjects=subjects,
            )
        self.in_flight.stop()

    def _take_up(self) -> None:
        """Undo :meth:`_cut_off`: what waited then is handled now."""
        self.in_flight.start()
        for consumer in self.consumers:
            consumer.subscription.release()

    def _shutting_down(self) -> None:
        """The process ends, and not only this service."""
        self._shutdown = None
        call_at_next_signal(self._reactor, self.skip_drain)

    def _forget_shutdown(self) -> None:
        shutdown, self._shutdown = self._shutdown, None
        if shutdown is not None:
            self._reactor.removeSystemEventTrigger(shutdown)

    @property
    def _idle(self) -> bool:
        return self.in_flight.idle and not any(consumer.subscription.pending for consumer in self.consumers)

    async def _stop(self) -> None:
        await deferLater(self._reactor, 0)  # not within a route that asked for the end: what runs cannot be cancelled
        await self._drain()
        await gatherResults([consumer.connection.stopService() for consumer in self.consumers])
        await self.publisher.stop(0.0 if self._drain_skipped else FLUSH_TIMEOUT)
        await gatherResults([connection.stopService() for connection in self._publish_connections])
        self._forget_shutdown()
        if not self.in_flight.stopped:
            self._cut_off()  # routes of the connections may have begun since
        await gatherResults([self._publish_threads.stopService(), self._route_threads.stopService()])
        if self._embedded is not None:
            await self._embedded.stopService()
        ledger = self.ledger()
        for consumer in ledger.consumers:
            self.log.info("Consumer {name}: {account}", name=consumer.name, account=str(consumer))
        self.log.info("Publisher: {account}", account=str(ledger.publisher))


def _join(connection: Connection, worker: PublishWorker) -> None:
    """Tell a publish worker what becomes of its connection."""

    def changed(change: Change) -> None:
        if change.state is State.CONNECTED:
            worker.connected()
        elif change.state is State.DISCONNECTED:
            worker.disconnected(cleanly=isinstance(change.reason, ServerLeftError))

    def refused(error: ServerError) -> None:
        if isinstance(error, PermissionsError):
            worker.refused(error)

    connection.observe(changed)
    connection.observe_errors(refused)
