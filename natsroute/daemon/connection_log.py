"""Log lines about connections: what an operator needs, once, however many connections it concerns."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from natsroute.client.connection import Connection
from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import PendingLimitError, ServerError
from natsroute.log import Logger
from natsroute.text import printable

#: Different errors of a server that are logged for one connection, each once, until it reconnects.
MAX_SERVER_ERRORS = 10
#: Different causes that are logged for one server that cannot be used, each once, until it is connected.
MAX_CAUSES = 10
#: Seconds between two lines about the same consumer whose routes are too slow.
OVERFLOW_INTERVAL = 60.0
_MAX_SERVERS = 1000


class ConnectionLog:
    """
    Logs what happens to the connections of a service.

    A server that cannot be used is logged once for each cause, however many connections try it and however often.

    :param prefix: returns what each line begins with.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, prefix: Callable[[], str] = lambda: "") -> None:
        self._clock = clock
        self._prefix = prefix
        self._last_overflow: dict[str, float] = {}  # by the connection's name, when it was logged
        self._causes: dict[Server, set[str]] = {}  # those that were logged since it was connected
        self._server_errors: dict[str, set[str]] = {}  # by the connection's name, those that were logged

    def watch(self, name: str, connection: Connection) -> None:
        """
        Log the changes and errors of a connection from now on.

        :param name: what the connection is for.
        """
        connection.observe(lambda change: self._on_change(name, connection, change))
        connection.observe_errors(lambda error, server: self._on_error(name, error))

    def overflow(self, name: str, error: PendingLimitError) -> None:
        """
        Log that more messages wait for a consumer's routes than may: once a minute for each connection.

        :param name: what the connection is for.
        """
        now = self._clock.seconds()
        if now - self._last_overflow.get(name, -OVERFLOW_INTERVAL) >= OVERFLOW_INTERVAL:
            self._last_overflow[name] = now
            self.log.warn("{prefix}{connection}: {reason}", prefix=self._prefix(), connection=name, reason=error)

    def _on_change(self, name: str, connection: Connection, change: Change) -> None:
        if change.server is None:
            return
        server, reason = str(change.server), printable(str(change.reason).rstrip("."))
        if change.event is ConnectionEvent.CONNECTED:
            self._causes.pop(change.server, None)
            self._server_errors.pop(name, None)
            version = connection.info.version if connection.info else ""
            self.log.info(
                "{prefix}{connection}: connected to {server} (nats-server {version})",
                prefix=self._prefix(),
                connection=name,
                server=server,
                version=printable(version),
            )
        elif change.event is ConnectionEvent.REFUSED:
            self._causes.pop(change.server, None)
            self.log.warn(
                "{prefix}{connection}: {server} refuses the subscription. natsroute asks again and again, "
                "and gets nothing so far",
                prefix=self._prefix(),
                connection=name,
                server=server,
            )
        elif change.event is ConnectionEvent.LAME_DUCK:
            self.log.info(
                "{prefix}{connection}: {server} shuts down soon (lame duck mode); moving to another server",
                prefix=self._prefix(),
                connection=name,
                server=server,
            )
        elif change.event is ConnectionEvent.DISCONNECTED:
            self.log.warn(
                "{prefix}{connection}: lost {server}: {reason}; reconnecting",
                prefix=self._prefix(),
                connection=name,
                server=server,
                reason=reason,
            )
        else:
            self._cannot_use(change.server, reason)

    def _cannot_use(self, server: Server, reason: str) -> None:
        if len(self._causes) >= _MAX_SERVERS and server not in self._causes:
            self._causes.clear()  # a cluster may change its members for years
        causes = self._causes.setdefault(server, set())
        if reason in causes or len(causes) == MAX_CAUSES:
            return
        causes.add(reason)
        self.log.warn(
            "{prefix}Cannot use {server}: {reason}. natsroute keeps trying, and logs {which}",
            prefix=self._prefix(),
            server=str(server),
            reason=reason,
            which="this cause only once" if len(causes) < MAX_CAUSES else "no further causes until it is connected",
        )

    def _on_error(self, name: str, error: ServerError) -> None:
        # A server may send a million errors, each with another text, and may refuse a route a million subjects.
        logged = self._server_errors.setdefault(name, set())
        if error.text in logged or len(logged) == MAX_SERVER_ERRORS:
            return
        logged.add(error.text)
        more = ". Further errors are not logged until it reconnects" if len(logged) == MAX_SERVER_ERRORS else ""
        self.log.error(
            "{prefix}{connection}: the server says: {reason}{more}",
            prefix=self._prefix(),
            connection=name,
            reason=printable(error.text),
            more=more,
        )
