"""The service of a parent: it runs no event routes, but the processes that do."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from natsroute._version import __version__
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.connections import Connections
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.daemon.exit_code import ExitCode
from natsroute.daemon.lifecycle import Lifecycle, Phase
from natsroute.daemon.operations.admin_methods import add_log_level
from natsroute.daemon.operations.operations import Operations
from natsroute.daemon.operations.process_log import ProcessLog
from natsroute.daemon.processes.aggregation import Aggregation
from natsroute.daemon.processes.run import Patience
from natsroute.daemon.processes.spawner import Spawner
from natsroute.daemon.processes.supervisor import Supervisor
from natsroute.daemon.settings.settings import Settings
from natsroute.daemon.shutdown import FLUSH_TIMEOUT
from natsroute.daemon.signals import OtherSignals, StopSignals
from natsroute.daemon.steady_clock import use_steady_clock
from natsroute.errors import SettingError
from natsroute.log import Logger
from natsroute.monitoring.overview import Overview

#: Seconds beyond the timeouts of the settings that a process may take to stop. Then it is killed.
MARGIN = 5.0


class ParentService(Service):
    """
    Runs ``settings.processes`` processes of natsroute with the same settings.

    :param arguments: the command line of this process, without the name of the program. The processes get the same.
    :param folder: where this process was started.
    :param reactor: the global reactor if left out.
    :param environment: the variables of all processes.
    :param process_log: becomes the log of the application that the service joins.
    :param exit_code: ends this process if the others cannot be started; a new one if left out.
    :raises SettingError: ``embedded_server`` is set and there is no nats-server, or a file of credentials or
        certificates cannot be used.
    """

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        arguments: tuple[str, ...],
        folder: str,
        *,
        reactor: Any = None,
        environment: MutableMapping[str, str] = os.environ,
        process_log: ProcessLog | None = None,
        exit_code: ExitCode | None = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self._reactor = reactor
        self.name = settings.client_name
        self.settings = settings
        self._exit_code = ExitCode(reactor) if exit_code is None else exit_code
        self._embedded = self._embedded_server() if settings.embedded_server else None
        self._spawner = Spawner(
            reactor,
            arguments,
            folder,
            cpu_affinity=settings.cpu_affinity,
            log_level=lambda: () if process_log is None else process_log.levels.rules,
            environment=environment,
        )
        self.supervisor = Supervisor(
            reactor,
            settings.processes,
            self._spawner.spawn,
            Patience(settings.drain_timeout + settings.hook_timeout + FLUSH_TIMEOUT + MARGIN, FLUSH_TIMEOUT + MARGIN),
            settings.restart_timeout,
            on_ready=self._all_are_ready,
            on_failed=lambda reason: self._exit_code.fail(),
        )
        self._lifecycle = Lifecycle(self._begin, self._end)
        self._starting: Deferred[None] = succeed(None)
        self._aggregation = Aggregation(lambda: str(self.name), self.supervisor, lambda: self._operations.errors())
        with settings.origins.in_errors():
            # Only for the admin subject: event routes run in the processes.
            self._connections = Connections(reactor, settings, None, ConnectionLog(reactor))
            self._operations = Operations(
                reactor,
                settings,
                self.overview,
                self.supervisor.ready,
                lambda: (),
                self._aggregation,
                lambda: ("", ""),
                name=lambda: str(self.name),
                stop=self._exit_code.stop,
                owns_process=True,
                process_log=process_log,
                connections=self._connections,
                environment=environment,
            )
        self.supervisor.around = self._operations.during_reload
        self._operations.methods.add("reload", self._reload_method, changes=True)
        add_log_level(self._operations.methods, process_log, self._aggregation.log_level)
        self._stop_signals = StopSignals(reactor, self.supervisor.skip_drain, self.supervisor.kill)
        self._other_signals = OtherSignals(
            reactor, on_report=self.supervisor.report, on_reload=lambda: self.reload().addErrback(lambda logged: None)
        )

    def _embedded_server(self) -> EmbeddedServer:
        settings = self.settings
        with settings.origins.in_errors():
            return EmbeddedServer(
                self._reactor,
                port=settings.embedded_server_port,
                token=settings.token,
                store_dir=settings.embedded_server_store_dir,
                on_failed=self._on_failed,
            )

    def setServiceParent(self, parent: Any) -> None:
        """Join a Twisted application or service."""
        self._operations.join(parent)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """
        Start all processes.

        :raises MisuseError: the service is running.
        """
        self._lifecycle.start()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop all processes in order, as :meth:`NatsrouteService.stopService` does one. A process that takes longer than
        its timeouts allow is killed.

        :return: fires in the reactor's thread when all have ended.
        """
        super().stopService()
        return self._lifecycle.stop()

    def reload(self) -> Deferred[None]:
        """Replace each process by one that reads settings and code anew; see :meth:`Supervisor.reload`."""
        return self.supervisor.reload()

    def _reload_method(self, _: object) -> Deferred[dict[str, int]]:
        return self.reload().addCallback(lambda _: {"processes": self.settings.processes})

    def overview(self) -> Deferred[Overview]:
        """The overview of all processes; fires in the reactor's thread, after a second at most."""
        return self._aggregation.overview()

    def _begin(self) -> None:
        use_steady_clock(self._reactor)
        self._stop_signals.install()
        self._other_signals.install()
        try:
            with self.settings.origins.in_errors():
                self._operations.startService()
        except SettingError as error:
            self.log.error("natsroute cannot start: {reason}", reason=str(error))
            self._exit_code.fail()
            return
        count = self.settings.processes
        self.log.info("natsroute {version}: {count} processes", version=__version__.public(), count=count)
        processors = os.cpu_count() or 1
        if count > processors:
            self.log.warn(
                "{count} processes are more than the {processors} processors of this machine",
                count=count,
                processors=processors,
            )
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._start_failed)

    async def _start(self) -> None:
        if self._embedded is not None:
            server = await self._embedded.start()
            self._spawner.use(server)
            self._connections.use(server)
        self._connections.start()
        self.supervisor.start()

    def _start_failed(self, failure: Failure) -> None:
        if self._lifecycle.phase is Phase.RUNNING:
            self.log.error("The embedded server did not start: {reason}", reason=failure.getErrorMessage())
            self._on_failed(failure)

    def _on_failed(self, _: Failure) -> None:
        self._exit_code.fail()

    def _all_are_ready(self) -> None:
        if not self.supervisor.reloading:
            self._spawner.prepare_spare()

    def _end(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._operations.stopping()
        self._starting.cancel()
        await self.supervisor.stop()
        self._spawner.close()
        if self._embedded is not None:
            await self._embedded.stopService()
        await self._operations.stopService()
        if not self._stop_signals.process_ends:
            self._other_signals.restore()
        self._stop_signals.restore()
