"""What operators have of a running service: each part is a service of its own, built if the settings ask for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred

from natsroute.admin.methods import Methods
from natsroute.admin.unix_socket import AdminSocket, OptionalAdminSocket, default_path
from natsroute.daemon.code.code_watch import CodeWatch, watch_folders
from natsroute.daemon.code.reload import Reloaded, Reloader
from natsroute.daemon.code.routing import Routing
from natsroute.daemon.connections import Connections
from natsroute.daemon.consuming.consumer import Consumer
from natsroute.daemon.operations.admin_methods import add_log_level, service_methods
from natsroute.daemon.operations.admin_subject import AdminSubject
from natsroute.daemon.operations.announced_service import AnnouncedService
from natsroute.daemon.operations.http import http_server
from natsroute.daemon.operations.measurements import Measurements, MetricsSource, metrics_method
from natsroute.daemon.operations.process_log import ProcessLog
from natsroute.daemon.operations.service_endpoints import ServiceEndpoints
from natsroute.daemon.operations.systemd import Notifier
from natsroute.daemon.settings.fields import OFF
from natsroute.daemon.settings.settings import Settings
from natsroute.monitoring.overview import ErrorRow, Overview, Reason, ServiceRow
from natsroute.monitoring.recent_errors import RecentErrors
from natsroute.routes.in_flight import CallsInFlight
from natsroute.services.identity import ServiceIdentity

_T = TypeVar("_T")


class Operations(MultiService):
    """
    The parts through which operators see a service and give it orders. They start before anything else of the service
    does, and stop after everything else.

    :param overview: returns the overview of the service.
    :param ready: returns a Deferred that fires when the service is ready, or fails if it cannot start.
    :param fatal: returns why only a restart can help; empty while the service works.
    :param measurements: measures as long as the parts run, and makes the metrics.
    :param name: returns the name of the service.
    :param stop: stops the service, or the process if it belongs to the service.
    :param current_code: returns what runs in the reactor's thread: an event route, or an empty text; and file and line.
    :param owns_process: whether the process has no other purpose than the service.
    :param process_log: the log of the process, if it is the service's.
    :param connections: makes the connections of the admin subject and of the announced service; None: there is neither.
    :param environment: the variables of the process. Those that are meant for this process alone are removed.

    :ivar methods: the admin methods. A part that has something to offer adds a method.
    :ivar metrics: what /metrics shows; None if nobody can ask for it, or ``prometheus-client`` is not installed.
    :ivar http: serves HTTP; None if the settings do not ask for it.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        overview: Callable[[], Overview | Deferred[Overview]],
        ready: Callable[[], Deferred[None]],
        fatal: Callable[[], Sequence[Reason]],
        measurements: MetricsSource,
        current_code: Callable[[], tuple[str, str]],
        *,
        name: Callable[[], str],
        stop: Callable[[], object],
        owns_process: bool,
        process_log: ProcessLog | None = None,
        connections: Connections | None = None,
        environment: MutableMapping[str, str] = os.environ,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._connections = connections
        self._announced: AnnouncedService | None = None
        self._ready = ready
        self.methods = service_methods(reactor, overview, stop)
        self._process_log = process_log
        add_log_level(self.methods, process_log)
        self._recent_errors = RecentErrors()
        self._recent_errors.setServiceParent(self)
        measurements.setServiceParent(self)
        metrics = self.metrics = measurements.new_metrics() if settings.measures_durations else None
        self.methods.add("metrics", metrics_method(lambda: metrics or measurements.new_metrics()))
        self.http = http_server(
            reactor, settings, overview, fatal, None if metrics is None else metrics.text, current_code
        )
        if self.http is not None:
            self.http.setServiceParent(self)
        admin_socket = _admin_socket(reactor, settings, self.methods, name, environment, owns_process=owns_process)
        if admin_socket is not None:
            admin_socket.setServiceParent(self)
        self._admin_subject: AdminSubject | None = None
        if settings.admin_subject and connections is not None:
            self._admin_subject = self._answering_at(settings, connections)
        self._notifier = Notifier.from_environment(reactor, overview, environment) if owns_process else None
        if self._notifier is not None:
            self._notifier.setServiceParent(self)

    def join(self, application: Any) -> None:
        """The service joins an application, which gets the log of the process."""
        if self._process_log is not None:
            self._process_log.join(application)

    def errors(self) -> tuple[ErrorRow, ...]:
        """The latest warnings and errors of the log, the latest first."""
        return self._recent_errors.rows()

    def logged(self) -> dict[str, int]:
        """How many warnings and errors the log had, by level."""
        return self._recent_errors.counts()

    def announced(self) -> tuple[ServiceRow, ...]:
        """What the service is announced as."""
        return () if self._announced is None else self._announced.rows()

    def startService(self) -> None:
        """
        Start all parts.

        :raises SettingError: one cannot start, for example because a port is in use. The others may have started.
        """
        super().startService()
        if self._notifier is not None:
            self._ready().addCallbacks(lambda _: self._when_ready(), lambda failure: None)

    def add_reload(self, reloader: Reloader) -> None:
        """
        The service can load its code anew: at the admin method, and when a file changes if the settings ask for it.

        :raises SettingError: ``reload_on_change`` is set, and ``watchfiles`` is not installed.
        """
        reloader.around = self.during_reload
        self.methods.add("reload", lambda _: reloader.reload().addCallback(Reloaded.as_json), changes=True)
        if reloader.settings.reload_on_change:
            watch = CodeWatch(self._reactor, reloader.files, reloader.reload, watch_folders())
            watch.setServiceParent(self)

    def announce(
        self,
        consumers: Sequence[Consumer],
        routing: Callable[[], Routing],
        measurements: Measurements,
        in_flight: CallsInFlight,
    ) -> None:
        """
        Announce the service to NATS clients, if the settings ask for it.

        :param consumers: the consumers.
        :param routing: returns the event routes.
        :param measurements: measures how long their calls take.
        :param in_flight: the calls, some of which fail.
        """
        settings, connections = self._settings, self._connections
        if settings.service_name and connections is not None:
            new_identity = partial(
                ServiceIdentity,
                settings.service_name,
                settings.service_version,
                settings.service_description,
                settings.service_metadata_by_key,
            )
            endpoints = ServiceEndpoints(consumers, routing, measurements, in_flight.failures)
            self._announced = AnnouncedService(connections.new_spare("service"), new_identity, endpoints)
            self._announced.setServiceParent(self)

    def stopping(self) -> None:
        """The service begins to stop. The parts go on until :meth:`stopService`, except what needs a NATS server."""
        for part in (self._admin_subject, self._announced):
            if part is not None:
                part.stopService()
        if self._notifier is not None:
            self._notifier.stopping()

    def during_reload(self, reload: Callable[[], Deferred[_T]]) -> Deferred[_T]:
        """Reload, while systemd knows of it; returns the Deferred of ``reload``."""
        return reload() if self._notifier is None else self._notifier.during_reload(reload)

    def stopService(self) -> Deferred[None]:
        """Stop all parts; fires in the reactor's thread when they have stopped."""
        stopped: Deferred[None] = super().stopService()
        return stopped

    def _answering_at(self, settings: Settings, connections: Connections) -> AdminSubject:
        connection = connections.new_spare("admin subject")
        answering = AdminSubject(connection, settings.admin_subject, self.methods, settings.admin_subject_methods)
        answering.setServiceParent(self)
        return answering

    def _when_ready(self) -> None:
        if self._notifier is not None:
            self._notifier.ready()


def _admin_socket(
    reactor: Any,
    settings: Settings,
    methods: Methods,
    name: Callable[[], str],
    environment: Mapping[str, str],
    *,
    owns_process: bool,
) -> AdminSocket | None:
    """The admin socket: at the path that is set, or, if the process belongs to the service, at a path of its own."""
    if settings.admin_socket == OFF or not (settings.admin_socket or owns_process):
        return None
    if settings.admin_socket:
        return AdminSocket(reactor, methods, lambda: settings.admin_socket)
    return OptionalAdminSocket(reactor, methods, lambda: default_path(environment, name()))
