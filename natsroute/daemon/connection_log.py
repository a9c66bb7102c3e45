"""What the log says of connections: what an operator needs, once, however many connections share a fate."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from natsroute.client.connection import Connection
from natsroute.client.servers import Server
from natsroute.client.status import Change, State
from natsroute.errors import PendingLimitError, ServerError
from natsroute.wire.headers import printable

#: Different complaints of a server that are logged for one connection, each once, until it connects again.
MAX_COMPLAINTS = 10
#: Seconds in which a consumer whose routes are too slow is told once.
SLOW_AGAIN = 60.0
_MAX_SERVERS = 1000


class ConnectionLog:
    """Logs the changes of all connections of a service; a server that stays away is told once for each cause."""

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._told_slow: dict[str, float] = {}
        self._told: dict[Server, str] = {}
        self._complaints: dict[str, set[str]] = {}

    def watch(self, name: str, connection: Connection) -> None:
        """
        Log the changes of a connection from now on.

        :param name: what the connection is for.
        """
        connection.observe(lambda change: self._changed(name, connection, change))
        connection.observe_errors(lambda error: self._refused(name, error))

    def slow(self, name: str, error: PendingLimitError) -> None:
        """More messages wait than may; told at most once in ``SLOW_AGAIN`` seconds for each connection."""
        now = self._clock.seconds()
        if now - self._told_slow.get(name, -SLOW_AGAIN) >= SLOW_AGAIN:
            self._told_slow[name] = now
            self.log.warn("{name}: {reason}", name=name, reason=error)

    def _changed(self, name: str, connection: Connection, change: Change) -> None:
        if change.server is None:
            return
        if change.state is State.CONNECTED:
            self._told.pop(change.server, None)
            self._complaints.pop(name, None)
            version = connection.info.version if connection.info else ""
            self.log.info(
                "{name}: connected to {server} (nats-server {version})",
                name=name,
                server=str(change.server),
                version=printable(version),
            )
        elif change.state is State.LAME_DUCK:
            self.log.info("{name}: {server} goes away soon: moving to another", name=name, server=str(change.server))
        elif change.state is State.DISCONNECTED:
            self.log.warn(
                "{name}: lost {server}: {reason}; connecting again",
                name=name,
                server=str(change.server),
                reason=printable(str(change.reason).rstrip(".")),
            )
        elif self._told.get(change.server) != str(change.reason):
            if len(self._told) >= _MAX_SERVERS:  # a cluster may change its members for years
                self._told.clear()
            self._told[change.server] = str(change.reason)
            self.log.warn(
                "Cannot use {server}: {reason}. natsroute keeps trying, in silence until that changes",
                server=str(change.server),
                reason=printable(str(change.reason).rstrip(".")),
            )

    def _refused(self, name: str, error: ServerError) -> None:
        # A server may say a million, each in other words, and a route may be refused a million subjects.
        told = self._complaints.setdefault(name, set())
        if error.text in told or len(told) == MAX_COMPLAINTS:
            return
        told.add(error.text)
        more = ". More of them are not logged until it connects again" if len(told) == MAX_COMPLAINTS else ""
        self.log.error("{name}: the server says: {reason}{more}", name=name, reason=printable(error.text), more=more)
