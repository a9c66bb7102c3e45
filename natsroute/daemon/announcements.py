"""What the log says of connections: what an operator needs, once, however many connections share a fate."""

from __future__ import annotations

from twisted.logger import Logger

from natsroute.client.connection import Connection
from natsroute.client.servers import Server
from natsroute.client.status import Change, State
from natsroute.errors import ServerError


class Announcements:
    """Logs the changes of all connections of a service; a server that stays away is told once for each cause."""

    log = Logger()

    def __init__(self) -> None:
        self._told: dict[Server, str] = {}

    def watch(self, name: str, connection: Connection) -> None:
        """
        Log the changes of a connection from now on.

        :param name: what the connection is for.
        """
        connection.observe(lambda change: self._changed(name, connection, change))
        connection.observe_errors(lambda error: self._refused(name, error))

    def _changed(self, name: str, connection: Connection, change: Change) -> None:
        if change.server is None:
            return
        if change.state is State.CONNECTED:
            self._told.pop(change.server, None)
            version = connection.info.version if connection.info else ""
            self.log.info(
                "{name}: connected to {server} (nats-server {version})",
                name=name,
                server=str(change.server),
                version=version,
            )
        elif change.state is State.LEAVING:
            self.log.info("{name}: {server} goes away soon: moving to another", name=name, server=str(change.server))
        elif change.state is State.DISCONNECTED:
            self.log.warn(
                "{name}: lost {server}: {reason}; connecting again",
                name=name,
                server=str(change.server),
                reason=str(change.reason).rstrip("."),
            )
        elif self._told.get(change.server) != str(change.reason):
            self._told[change.server] = str(change.reason)
            self.log.warn(
                "Cannot use {server}: {reason}. natsroute keeps trying, in silence until that changes",
                server=str(change.server),
                reason=str(change.reason).rstrip("."),
            )

    def _refused(self, name: str, error: ServerError) -> None:
        self.log.error("{name}: the server says: {reason}", name=name, reason=error.text)
