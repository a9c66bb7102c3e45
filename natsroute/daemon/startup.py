"""The start of a service: what the log says of it, and what starts when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure

from natsroute._version import __version__
from natsroute.client.connection import Connection
from natsroute.daemon.connections import Connections
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.daemon.plan import Plan
from natsroute.errors import ScriptError
from natsroute.hot.choice import CHOICE, Choice
from natsroute.log import Logger


class Startup:
    """
    Starts a service in order: the embedded server if it has one, the connections of the publisher, the hooks, and then
    all other connections. So no message is received before the hooks have ended, and they can publish.

    Without hooks, all connections start together. KEMI scripts are loaded before everything else.

    :param publish_connections: those of ``connections`` that the publisher uses.
    :param embedded: the embedded server, or None.
    :param on_connecting: called when all connections have been started.
    :param on_failed: called with the reason when the service cannot start. It is logged by then.
    :param load_scripts: loads the KEMI scripts, if there are any.
    :param load_tables: loads the htables that are kept in key-value buckets, before the hooks, and so before the first
        message.

    :ivar step: what the start waits for, as a sentence.
    :ivar is_ready: whether everything has been connected since the last start, and the service has not been stopped.
    """

    log = Logger()

    def __init__(
        self,
        connections: Connections,
        publish_connections: Sequence[Connection],
        embedded: EmbeddedServer | None,
        on_connecting: Callable[[], None],
        on_failed: Callable[[Failure], object],
        load_scripts: Callable[[], Deferred[None]] = lambda: succeed(None),
        load_tables: Callable[[], Deferred[None]] = lambda: succeed(None),
    ) -> None:
        self._connections = connections
        self._publish_connections = publish_connections
        self._embedded = embedded
        self._load_scripts = load_scripts
        self._load_tables = load_tables
        self._on_connecting = on_connecting
        self._on_failed = on_failed
        self._running: Deferred[None] = succeed(None)
        self._waiting: list[Deferred[None]] = []
        self.step = ""
        self.is_ready = False
        self._failure: Failure | None = None

    @property
    def error(self) -> BaseException | None:
        """Why the last start has failed; None if it has not."""
        return None if self._failure is None else self._failure.value

    def begin(self, start_hooks: Callable[[], Deferred[None]] | None = None) -> None:
        """
        Start everything.

        :param start_hooks: runs the ``on_start`` hooks. None: there are none.
        """
        self.is_ready = False
        self._failure = None
        self._running = Deferred.fromCoroutine(self._run(start_hooks))
        self._running.addErrback(self._failed)

    def fail(self, error: Exception) -> None:
        """Do not start: something else that the service needs has not started."""
        self.log.error("natsroute does not start: {reason}", reason=str(error))
        self._failed(Failure(error))

    def cancel(self) -> None:
        """Start nothing more. Who waits for :meth:`ready` waits no longer."""
        self.is_ready = False
        self._running.cancel()
        self._tell_waiting(Failure(CancelledError("the service was stopped before it was ready")))

    def ready(self) -> Deferred[None]:
        """
        Wait for the end of the start.

        :return: fires when the hooks have succeeded and all connections are connected; at once if that has happened
            since the last start. Fails with the reason if the service cannot start, and with ``CancelledError`` if it
            is stopped first. Cancelling it only ends the wait.
        """
        if self.is_ready:
            return succeed(None)
        if self._failure is not None:
            return fail(self._failure)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    async def _run(self, start_hooks: Callable[[], Deferred[None]] | None) -> None:
        self.step = "the KEMI script is being loaded"
        try:
            await self._load_scripts()
        except ScriptError as error:
            self.log.error("The KEMI script cannot be used: {reason}", reason=str(error))
            raise
        if self._embedded is not None:
            self.step = "the embedded server starts"
            try:
                server = await self._embedded.start()
            except CancelledError:
                raise
            except Exception as error:
                self.log.error("The embedded server did not start: {reason}", reason=str(error))
                raise
            self._connections.use(server)
        self.step = "the htables are loaded from their key-value buckets"
        await self._load_tables()
        if start_hooks is not None:
            self.step = "the on_start hooks wait until all publish workers are connected"
            self._connections.start(self._publish_connections)
            await self._connections.when_connected(self._publish_connections)
            self.step = "the on_start hooks run"
            await start_hooks()
        self.step = "not everything has been connected at the same time yet"
        self._connections.start()
        self._on_connecting()
        await self._connections.when_connected()
        self.is_ready = True
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

    def log_plan(self, plan: Plan, prefix: str = "", hot_path: Choice = CHOICE) -> None:
        """
        Log the version, the servers, the publish workers, which implementation of the hot path runs, each consumer with
        its event routes, and all warnings.

        :param prefix: what each line begins with.
        """
        self.log.info(
            "{prefix}natsroute {version}: NATS servers: {servers}; publish workers: {workers}; {hot_path}",
            prefix=prefix,
            version=__version__.public(),
            servers=plan.servers,
            workers=plan.workers,
            hot_path=hot_path.describe(),
        )
        if hot_path.problem:
            self.log.warn(
                "{prefix}The compiled hot path is installed and cannot be loaded, so natsroute is slower: {problem}",
                prefix=prefix,
                problem=hot_path.problem,
            )
        for consumer in plan.consumers:
            if consumer.runs:
                runs = ", ".join(consumer.runs)
                self.log.info(
                    "{prefix}Consumer {consumer} -> {runs}", prefix=prefix, consumer=str(consumer.entry), runs=runs
                )
        if plan.passed_over:
            self.log.info("{prefix}{passed_over}", prefix=prefix, passed_over=plan.passed_over)
        for warning in plan.warnings:
            self.log.warn("{prefix}{problem}", prefix=prefix, problem=warning)
