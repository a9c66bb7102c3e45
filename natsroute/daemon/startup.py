"""The start of a service: what the log says of it, and when the connections start."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute._version import __version__
from natsroute.client.servers import parse_url
from natsroute.daemon.connections import Connections
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.daemon.routing import Routing
from natsroute.daemon.settings import Settings
from natsroute.routes.route import PREFIX


class Startup:
    """
    Starts the connections of a service, once its embedded server listens if it has one.

    :param embedded: the embedded server, or None.
    :param on_connecting: called when the connections have been started.
    """

    log = Logger()

    def __init__(
        self, connections: Connections, embedded: EmbeddedServer | None, on_connecting: Callable[[], None]
    ) -> None:
        self._connections = connections
        self._embedded = embedded
        self._on_connecting = on_connecting
        self._cancelled = False

    def begin(self) -> None:
        """Start the embedded server, then the connections."""
        self._cancelled = False
        if self._embedded is None:
            self._connect()
        else:
            self._embedded.start().addCallbacks(self._use_embedded, self._embedded_failed)

    def cancel(self) -> None:
        """Do not start the connections, if they have not been started yet."""
        self._cancelled = True

    def log_plan(self, settings: Settings, routing: Routing) -> None:
        """Log the version, the servers, the publish workers, and each consumer with its event routes."""
        servers = "the embedded server" if self._embedded else ", ".join(map(str, settings.servers))
        self.log.info(
            "natsroute {version}: NATS servers: {servers}; publish workers: {workers}",
            version=__version__.public(),
            servers=servers,
            workers=settings.num_publish_workers,
        )
        if not settings.subject_queue_group:
            self.log.warn("No subject_queue_group is set: nothing is consumed, natsroute only publishes")
        for entry in settings.subject_queue_group:
            routes = routing.names(entry)
            if routes:
                self.log.info("Consumer {entry} -> {routes}", entry=str(entry), routes=", ".join(routes))
            else:
                self.log.warn(
                    "Consumer {entry} has no event route: add one named {name!r}",
                    entry=str(entry),
                    name=PREFIX + entry.subject,
                )

    def _use_embedded(self, url: str) -> None:
        self._connections.use(parse_url(url))
        self._connect()

    def _embedded_failed(self, failure: Failure) -> None:
        if not self._cancelled:
            self.log.error("The embedded server did not start: {reason}", reason=failure.getErrorMessage())

    def _connect(self) -> None:
        if not self._cancelled:
            self._connections.start()
            self._on_connecting()
