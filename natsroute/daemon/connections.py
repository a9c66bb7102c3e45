"""The connections of a service: all are built alike, use the same servers, and start together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed

from natsroute.client.auth import CredentialsSource
from natsroute.client.connection import Connection
from natsroute.client.server_pool import ServerPool
from natsroute.client.servers import Server
from natsroute.client.tls_memory import TlsMemory
from natsroute.client.transport.resolver import Resolver
from natsroute.client.transport.websocket import with_autobahn
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.credentials import checked_tls, credentials_source
from natsroute.daemon.settings.settings import Settings
from natsroute.routes.event import Event
from natsroute.turns import SharedTurns
from natsroute.wire.frames import Msg


class Connections:
    """
    Builds the connections of a service.

    :param credentials: called before each attempt to connect; None: the login of the settings.
    :param log: logs what happens to each connection.
    :param turns: shares the turns of the reactor among all of their subscriptions; None: a new one.
    :raises SettingError: a file of credentials or certificates cannot be used, or a package is not installed.

    :ivar all: the connections, in the order in which they were built.
    :ivar spare: connections that the service does not need to be ready. They start with the others.
    :ivar idle: connections that start when they are needed: :meth:`start_when_possible`.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        credentials: CredentialsSource | None,
        log: ConnectionLog,
        turns: SharedTurns | None = None,
    ) -> None:
        self.all: list[Connection] = []
        self.spare: list[Connection] = []
        self.idle: list[Connection] = []
        self._has_started = False
        self._start_then: list[Connection] = []  # with the others
        self._reactor = reactor
        self._settings = settings
        self._credentials = credentials or credentials_source(settings)
        self._tls = checked_tls(settings)
        self._tls_memory = TlsMemory()
        self._resolver = Resolver(reactor)
        for server in settings.servers:
            if server.web:
                with_autobahn(str(server))
        self._log = log
        self._turns = SharedTurns(reactor) if turns is None else turns
        self._pools: list[ServerPool] = []
        self._purposes: list[str] = []
        self._waiting: list[tuple[Sequence[Connection], Deferred[None]]] = []

    def new(self, purpose: str, message_type: type[Msg] = Event) -> Connection:
        """
        Build a connection.

        :param purpose: what it is for; part of its name in the server's monitoring and in the log.
        :param message_type: the class of its messages.
        """
        connection = self._build(purpose, message_type)
        connection.observe(lambda change: self._tell_waiting())
        self._purposes.append(purpose)
        self.all.append(connection)
        return connection

    def new_spare(self, purpose: str) -> Connection:
        """Build a connection that nothing waits for, and that is not among :attr:`all`. Whoever builds it stops it."""
        self.spare.append(self._build(purpose))
        return self.spare[-1]

    def new_idle(self, purpose: str, message_type: type[Msg] = Event) -> Connection:
        """Build a connection that may never be needed, not among :attr:`all`. Whoever builds it stops it."""
        self.idle.append(self._build(purpose, message_type))
        return self.idle[-1]

    def start_when_possible(self, connection: Connection) -> None:
        """Start a connection that is needed now: at once, unless the service has not started its first one yet."""
        if connection.running:
            return
        if self._has_started:
            connection.startService()
        elif connection not in self._start_then:
            self._start_then.append(connection)

    def _build(self, purpose: str, message_type: type[Msg] = Event) -> Connection:
        settings = self._settings
        servers = ServerPool(
            () if settings.embedded_server else settings.servers,  # the embedded server's address is not known yet
            settings.backoff,
            keep_order=settings.keep_url_order,
            max_failures=settings.max_reconnect_attempts,
            discover=not settings.ignore_discovered_servers,
        )
        connection = Connection(
            self._reactor,
            servers,
            client_name=f"{settings.client_name} {purpose}",
            credentials=self._credentials,
            tls=self._tls,
            require_tls=settings.require_tls,
            tls_memory=self._tls_memory,
            resolve=self._resolver.resolve,
            timing=settings.timing,
            inbound_limits=settings.inbound_limits,
            message_type=message_type,
            turns=self._turns,
        )
        self._log.watch(purpose, connection)
        self._pools.append(servers)
        return connection

    @property
    def named(self) -> list[tuple[str, Connection]]:
        """Each connection, after what it is for."""
        return list(zip(self._purposes, self.all))

    @property
    def connected(self) -> bool:
        """Whether each of them is connected, and the server has its subscription."""
        return _connected(self.all)

    def use(self, server: Server) -> None:
        """Use this server instead of those of the settings."""
        for pool in self._pools:
            pool.use(server)

    def start(self, connections: Sequence[Connection] | None = None) -> None:
        """
        Start connections that do not run.

        :param connections: which; None for all, and those that nothing waits for.
        """
        self._has_started = True
        wanted, self._start_then = self._start_then, []
        for connection in (*([*self.all, *self.spare] if connections is None else connections), *wanted):
            if not connection.running:
                connection.startService()

    def stopped(self) -> None:
        """The service has stopped: a connection that is needed now waits for the next start."""
        self._has_started = False

    def when_connected(self, connections: Sequence[Connection] | None = None) -> Deferred[None]:
        """
        Wait for connections.

        :param connections: which; None for all.
        :return: fires when all of them are connected at the same time; never fails.
        """
        wanted = self.all if connections is None else connections
        if _connected(wanted):
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._forget)
        self._waiting.append((wanted, waiting))
        return waiting

    def _tell_waiting(self) -> None:
        for wanted, waiting in tuple(self._waiting):
            if _connected(wanted):
                self._forget(waiting)
                waiting.callback(None)

    def _forget(self, waiting: Deferred[None]) -> None:
        self._waiting = [one for one in self._waiting if one[1] is not waiting]


def _connected(connections: Sequence[Connection]) -> bool:
    return all(connection.state.is_connected for connection in connections)
