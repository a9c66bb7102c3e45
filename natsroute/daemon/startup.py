"""The start of a service: what the log says of it, and what starts when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure

from natsroute._version import __version__
from natsroute.client.connection import Connection
from natsroute.daemon.connections import Connections
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.daemon.routing import Routing
from natsroute.daemon.settings import Settings
from natsroute.daemon.subject_warnings import subject_warnings
from natsroute.errors import ScriptError
from natsroute.log import Logger
from natsroute.routes.route import PREFIX


class Startup:
    """
    Starts a service in order: the embedded server if it has one, the connections of the publisher, the hooks, and then
    all other connections. So no message is received before the hooks have ended, and they can publish.

    Without hooks, all connections start together. KEMI scripts are loaded before everything else.

    :param publish_connections: those of ``connections`` that the publisher uses.
    :param embedded: the embedded server, or None.
    :param start_hooks: runs the ``on_start`` hooks. None: there are none.
    :param on_connecting: called when all connections have been started.
    :param on_failed: called with the reason when the service cannot start. It is logged by then.
    :param load_scripts: loads the KEMI scripts, if there are any.
    """

    log = Logger()

    def __init__(
        self,
        connections: Connections,
        publish_connections: Sequence[Connection],
        embedded: EmbeddedServer | None,
        start_hooks: Callable[[], Deferred[None]] | None,
        on_connecting: Callable[[], None],
        on_failed: Callable[[Failure], object],
        load_scripts: Callable[[], Deferred[None]] = lambda: succeed(None),
    ) -> None:
        self._connections = connections
        self._publish_connections = publish_connections
        self._embedded = embedded
        self._load_scripts = load_scripts
        self._start_hooks = start_hooks
        self._on_connecting = on_connecting
        self._on_failed = on_failed
        self._running: Deferred[None] = succeed(None)
        self._waiting: list[Deferred[None]] = []
        self._is_ready = False
        self._failure: Failure | None = None

    def begin(self) -> None:
        """Start everything."""
        self._is_ready = False
        self._failure = None
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._failed)

    def cancel(self) -> None:
        """Start nothing more. Who waits for :meth:`ready` waits no longer."""
        self._is_ready = False
        self._running.cancel()
        self._tell_waiting(Failure(CancelledError("the service was stopped before it was ready")))

    def ready(self) -> Deferred[None]:
        """
        Wait for the end of the start.

        :return: fires when the hooks have succeeded and all connections are connected; at once if that has happened
            since the last start. Fails with the reason if the service cannot start, and with ``CancelledError`` if it
            is stopped first. Cancelling it only ends the wait.
        """
        if self._is_ready:
            return succeed(None)
        if self._failure is not None:
            return fail(self._failure)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    async def _run(self) -> None:
        try:
            await self._load_scripts()
        except ScriptError as error:
            self.log.error("The KEMI script cannot be used: {reason}", reason=str(error))
            raise
        if self._embedded is not None:
            try:
                server = await self._embedded.start()
            except CancelledError:
                raise
            except Exception as error:
                self.log.error("The embedded server did not start: {reason}", reason=str(error))
                raise
            self._connections.use(server)
        if self._start_hooks is not None:
            self._connections.start(self._publish_connections)
            await self._connections.when_connected(self._publish_connections)
            await self._start_hooks()
        self._connections.start()
        self._on_connecting()
        await self._connections.when_connected()
        self._is_ready = True
        self._tell_waiting(None)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._failure = failure
            self._tell_waiting(failure)
            self._on_failed(failure)

    def _tell_waiting(self, result: Failure | None) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if result is None:
                one.callback(None)
            else:
                one.errback(result)

    def log_plan(self, settings: Settings, routing: Routing, prefix: str = "") -> None:
        """
        Log the version, the servers, the publish workers, and each consumer with its event routes.

        :param prefix: what each line begins with.
        """
        servers = "the embedded server" if self._embedded else ", ".join(map(str, settings.servers))
        self.log.info(
            "{prefix}natsroute {version}: NATS servers: {servers}; publish workers: {workers}",
            prefix=prefix,
            version=__version__.public(),
            servers=servers,
            workers=settings.num_publish_workers,
        )
        if not settings.subject_queue_group:
            self.log.warn(
                "{prefix}No subject_queue_group is set: nothing is consumed, natsroute only publishes", prefix=prefix
            )
        for entry in settings.subject_queue_group:
            routes = routing.names(entry)
            if routes:
                self.log.info(
                    "{prefix}Consumer {entry} -> {routes}", prefix=prefix, entry=str(entry), routes=", ".join(routes)
                )
            else:
                self.log.warn(
                    "{prefix}Consumer {entry} has no event route: add one named {name!r}",
                    prefix=prefix,
                    entry=str(entry),
                    name=PREFIX + entry.subject,
                )
        if routing.passed_over:
            self.log.info(
                "{prefix}natsroute does not run these blocks of {path}: {blocks}",
                prefix=prefix,
                path=settings.kamailio_cfg,
                blocks=", ".join(routing.passed_over),
            )
        for problem in (*settings.warnings, *subject_warnings(settings.subject_queue_group, routing.all_names)):
            self.log.warn("{prefix}{problem}", prefix=prefix, problem=problem)
