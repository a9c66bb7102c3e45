"""The composition root: builds the parts of natsroute and joins them. No other module knows all of them."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IServiceCollection, Service
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from natsroute.client.auth import CredentialsSource
from natsroute.client.connection import Connection
from natsroute.daemon.code.program import Program
from natsroute.daemon.code.reload import Reloaded, Reloader
from natsroute.daemon.code.routing import Routing
from natsroute.daemon.code.versions import Versions
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.connections import Connections
from natsroute.daemon.consuming.consumer import Consumers
from natsroute.daemon.consuming.consuming import Consuming
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.daemon.exit_code import ExitCode
from natsroute.daemon.lifecycle import Lifecycle
from natsroute.daemon.names import free_name
from natsroute.daemon.operations.measurements import Measurements
from natsroute.daemon.operations.observation import Observation
from natsroute.daemon.operations.operations import Operations
from natsroute.daemon.operations.process_log import ProcessLog
from natsroute.daemon.operations.readiness import Readiness
from natsroute.daemon.operations.report import account_lines, report_lines
from natsroute.daemon.operations.tracing import ServiceTracing
from natsroute.daemon.plan import Plan
from natsroute.daemon.sending.sending import Sending
from natsroute.daemon.settings.connection_settings import DEFAULT_NAME
from natsroute.daemon.settings.settings import Settings
from natsroute.daemon.shutdown import Shutdown
from natsroute.daemon.signals import OtherSignals, StopSignals
from natsroute.daemon.startup import Startup
from natsroute.daemon.steady_clock import use_steady_clock
from natsroute.daemon.threads import Threads
from natsroute.daemon.watchdog import Watchdog
from natsroute.errors import SettingError
from natsroute.ledger import Ledger
from natsroute.log import Logger
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import RunnerContext
from natsroute.text import printable
from natsroute.turns import SharedTurns


class NatsrouteService(Service):
    """
    natsroute as a Twisted service.

    :param settings: all settings.
    :param event_routes: event routes of the program, in addition to those that ``settings.event_routes`` names.
    :param credentials: called before each attempt to connect, for logins that change, instead of the login of the
        settings. It returns :class:`~natsroute.client.auth.Credentials`, or an awaitable of them.
    :param reactor: the global reactor if left out.
    :param owns_process: the process has no other purpose than this service, as with ``twistd natsroute``. Then a start
        that fails ends it with exit code 1, and SIGHUP, SIGUSR1 and SIGUSR2 do not. Otherwise the service only stops.
    :param process_log: becomes the log of the application that the service joins.
    :param tracer_provider: an OpenTelemetry ``TracerProvider`` of the program, which traces without the setting too.
    :raises SettingError: a routes file or a callback cannot be loaded, a file of credentials or certificates cannot be
        used, or ``embedded_server`` is set and there is no nats-server.
    :raises ScriptError: something in the ``kamailio_cfg`` is malformed, or one of its event routes cannot run.

    :ivar name: ``client_name``. Several services of one parent with the same name get a number. Unless it is
        ``natsroute``, log lines begin with it.
    :ivar consumers: one for each ``subject_queue_group`` and ``jetstream_consumer``.
    :ivar publisher: publishes for the routes and for the program.
    :ivar publish: publishes a message: :meth:`Outlet.publish <natsroute.publishing.outlet.Outlet.publish>`.
    :ivar nats_publish: the same, under the name of Kamailio's function.
    :ivar publish_all: publishes several messages to a stream, all or none:
        :meth:`BatchPublish.publish_all <natsroute.daemon.sending.batch_publish.BatchPublish.publish_all>`.
    :ivar request: sends a request, as ``request_many`` does: :mod:`natsroute.daemon.sending.requesting`.
    :ivar key_value: gives a bucket: :mod:`natsroute.daemon.sending.key_values`.
    :ivar jetstream: asks about streams and consumers: :class:`~natsroute.jetstream.api.JetStreamApi`.
    :ivar in_flight: the calls of event routes that have not ended.
    """

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        event_routes: EventRoutes | None = None,
        *,
        credentials: CredentialsSource | None = None,
        reactor: Any = None,
        owns_process: bool = False,
        process_log: ProcessLog | None = None,
        tracer_provider: Any = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self._exit_code = ExitCode(reactor) if owns_process else None
        self.name = settings.client_name
        self._reactor = reactor
        self._connection_log = ConnectionLog(reactor, self._log_prefix)
        turns = SharedTurns(reactor)
        with settings.origins.in_errors():
            self._connections = Connections(reactor, settings, credentials, self._connection_log, turns)
            self._embedded = EmbeddedServer.of(settings, reactor, self._on_failed) if settings.embedded_server else None
            self._route_threads = Threads(
                reactor, "natsroute routes", settings.route_threads, max_queue=settings.route_thread_queue
            )
        measurements = Measurements(
            reactor,
            lambda: [consumer.source.received for consumer in self.consumers],
            durations=settings.measures_durations,
            handling=bool(settings.service_name),
        )
        self.in_flight = CallsInFlight(
            reactor, slow_after=settings.slow_route_warning, handling_times=measurements.handling_times
        )
        self.consumers = Consumers(self.in_flight, turns)
        self._watchdog = Watchdog(reactor, self.in_flight.code, settings.blocked_reactor_warning)

        self._sending = Sending(
            reactor,
            settings,
            self._connections,
            on_high_water=self._hold,
            on_low_water=self._release,
            on_confirmed=measurements.on_confirmed,
        )
        self.publisher = self._sending.publisher
        self.key_value, self.jetstream = self._sending.key_values.key_value, self._sending.jetstream_api
        publish_connections = self._sending.workers.connections
        self._tracing = ServiceTracing(reactor, settings, tracer_provider, self.publisher, publish_connections)
        # Bound once: a method that passes the call on would add a fifth to the cost of publishing bytes.
        self.publish = self.nats_publish = self._tracing.publish(self.publisher.publish)
        self.publish_all = self._sending.publish_all
        requests = self._tracing.requests(self._sending.requesting)
        self.request, self.request_many = requests.request, requests.request_many
        self._runner_context = RunnerContext(
            self.publisher.publish,
            reactor,
            self._route_threads.run,
            self.in_flight,
            publish_for=self.publisher.publish_for,
            reject_for=self.publisher.reject_for,
            thread_space=self._route_threads.space,
            requests=self._sending.requesting,
            publish_all=self.publish_all,
        )
        run, publish_for = self._route_threads.run, self._tracing.publish_for(self.publisher.publish_for)
        share = self._sending.htables.share

        def new_program(settings: Settings, former: Program | None = None) -> Program:
            return Program(reactor, settings, event_routes, run, self.in_flight, publish_for, former, share)

        unrouted = self._runner_context.unrouted
        self._versions = Versions(reactor, new_program(settings), self.in_flight, unrouted, settings)
        self._reloader = Reloader(reactor, self, self._versions, settings, new_program)
        self._sending.workers.join()
        for connection in publish_connections:
            self._versions.add_publish_worker(connection, self._tracing.for_connections(self._runner_context))
        parts = (self._connections, self._connection_log, self._sending, self._tracing, self._versions)
        for consumer in Consuming(reactor, settings, *parts, self._runner_context).new_consumers():
            self.consumers.add(consumer)

        self._startup = Startup(
            self._connections,
            publish_connections,
            self._embedded,
            on_connecting=self._on_connecting,
            on_failed=self._on_failed,
            load_scripts=lambda: self.program.scripts.load(),
            load_tables=self._sending.htables.load,
        )
        self._shutdown = Shutdown(
            reactor,
            self.consumers,
            settings.drain_timeout,
            lambda: self._versions.stop_hooks(self),
            settings.hook_timeout,
            self._sending.stop,
            self._sending.connections,
            [self._sending.threads, self._route_threads, self._versions],
            self._embedded,
        )
        self._lifecycle = Lifecycle(self._begin, self._end)
        readiness = Readiness(
            reactor,
            self._connections,
            self.publisher.workers,
            self._startup,
            lambda: self.program.hooks.pending,
            self._lifecycle,
            lambda: (*self.consumers.problems, *self._sending.htables.problems),
            lambda: self._sending.stream_problems,
        )
        observation = Observation(
            reactor,
            lambda: str(self.name),
            self.ledger,
            self._connections,
            self._sending.workers.named,
            self.in_flight,
            readiness.reasons,
            measurements.idle,
            lambda: self._operations.errors(),
            lambda: self._reloader.count,
            lambda: self._operations.announced(),
        )
        #: Everything that is shown of the service at this moment: an Overview.
        self.overview = observation.overview
        with settings.origins.in_errors():
            self._operations = Operations(
                reactor,
                settings,
                self.overview,
                self.ready,
                readiness.fatal,
                measurements.shown_by(reactor, self.overview, lambda: self._operations.logged()),
                self._watchdog.current_code,
                name=lambda: str(self.name),
                stop=self.stopService if self._exit_code is None else self._exit_code.stop,
                owns_process=owns_process,
                process_log=process_log,
                connections=self._connections,
            )
            self._operations.add_reload(self._reloader)
            self._operations.announce(self.consumers, lambda: self.routing, measurements, self.in_flight)
        self._tracing.export_with(self._operations)
        self._stop_signals = StopSignals(reactor, self._shutdown.skip_drain)
        self._other_signals = OtherSignals(reactor, self.log_report, self._reloader.on_signal) if owns_process else None

    def _hold(self) -> None:
        """A publish worker has no space for more."""
        self.consumers.hold()
        self._versions.hold()

    def _release(self) -> None:
        """Undo one :meth:`_hold`."""
        self.consumers.release()
        self._versions.release()

    def flush(self) -> Deferred[None]:
        """
        Wait for what was published so far.

        :return: fires when each message is confirmed or has failed.
        """
        return self.publisher.flush()

    @property
    def settings(self) -> Settings:
        """The settings; after a reload, with those that name code as they are then."""
        return self._reloader.settings

    @property
    def program(self) -> Program:
        """The code that was loaded: event routes, scripts and hooks."""
        return self._versions.current

    @property
    def routing(self) -> Routing:
        """Which function runs for a message or a connection event."""
        return self.program.routing

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
        accounts = tuple(consumer.account() for consumer in self.consumers)
        requests = self._sending.requesting.account()
        return Ledger(accounts, self._versions.route_counters(), self.publisher.account(), requests)

    def log_report(self) -> None:
        """Log the ledger, the connections and the calls in flight, as SIGUSR2 does under ``twistd natsroute``."""
        for line in report_lines(self.ledger(), self._connections.named, self.in_flight, self._reactor.seconds()):
            self._log_line(line)

    def ready(self) -> Deferred[None]:
        """
        Wait until the service can work: the ``on_start`` hooks have ended, and each connection is connected, with its
        subscription at the server. Call this before or after :meth:`startService`.

        :return: fires in the reactor's thread; at once if the service has been ready since its last start. Fails with
            the reason if the start fails, such as the error of a hook, and with
            :class:`~twisted.internet.defer.CancelledError` if the service is stopped first. Cancelling it only ends the
            wait.
        """
        return self._startup.ready()

    def reload(self) -> Deferred[Reloaded]:
        """
        Load the code anew, as docs/reload.md describes. While a reload runs, one more follows, for all calls meanwhile.

        :return: fires in the reactor's thread with what was loaded when the next message of each consumer runs in it.
            Fails with :class:`~natsroute.errors.ReloadError` if something is wrong with the code, or the service is not
            running; then nothing has changed. Cancelling it only ends the wait.
        """
        return self._reloader.reload()

    def setServiceParent(self, parent: Any) -> None:
        """Join a Twisted application or service; if it has a service of this name, with another name."""
        self._operations.join(parent)
        if self.parent is None:
            self.name = free_name(IServiceCollection(parent, parent), str(self.name))
        super().setServiceParent(parent)

    def startService(self) -> None:
        """
        Start. During a stop, the service starts when that is done.

        :raises MisuseError: the service is running.
        """
        super().startService()
        self._lifecycle.start()

    def stopService(self) -> Deferred[None]:
        """
        Stop in order: take no new messages, wait up to ``drain_timeout`` seconds until those received are handled,
        cancel the calls that are still running, run the ``on_stop`` hooks for up to ``hook_timeout`` seconds, wait up
        to 5 seconds for the server to confirm what was published, and close the connections.

        :return: fires in the reactor's thread when everything has stopped; also if the service was stopping already. To
            cancel it only ends the wait: the service stops all the same.
        """
        super().stopService()
        self._startup.cancel()
        return self._lifecycle.stop()

    def skip_drain(self) -> None:
        """
        If the service is stopping, wait neither for messages to be handled nor for hooks. What was published is still
        confirmed.
        """
        self._shutdown.skip_drain()

    def _begin(self) -> None:
        use_steady_clock(self._reactor)
        self._shutdown.prepare()
        self._stop_signals.install()
        if self._other_signals is not None:
            self._other_signals.install()
        self._sending.start()
        for part in (self._sending.threads, self._route_threads, self._versions, self._watchdog):
            part.startService()
        try:
            with self.settings.origins.in_errors():
                self._operations.startService()
        except SettingError as error:
            self._startup.fail(error)
            return
        self._startup.log_plan(Plan.of(self.settings, self.routing), self._log_prefix())
        hooks = self.program.hooks
        if hooks.has_on_start:
            self._versions.hold_events()
            self._startup.begin(lambda: hooks.start(self))
        else:
            hooks.start(self)  # no function runs; the on_stop hooks run at the stop
            self._startup.begin()

    def _on_connecting(self) -> None:
        self.consumers.start()
        self._versions.resume()
        self._reloader.allow()

    def _on_failed(self, _: Failure) -> None:
        if self._exit_code is None:
            self.stopService()
        else:
            self._exit_code.fail()

    def _end(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._operations.stopping()
        trial_exited = self._reloader.refuse()
        await self._shutdown.run()
        await trial_exited
        self._watchdog.stopService()
        self._connections.stopped()
        await self._operations.stopService()
        for line in account_lines(self.ledger()):
            self._log_line(line)
        if self._other_signals is not None and not self._stop_signals.process_ends:
            self._other_signals.restore()
        self._stop_signals.restore()

    def _log_line(self, line: str) -> None:
        self.log.info("{prefix}{line}", prefix=self._log_prefix(), line=line)

    def _log_prefix(self) -> str:
        return "" if self.name == DEFAULT_NAME else f"{printable(str(self.name))}: "
