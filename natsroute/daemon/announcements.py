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
        self._refusals: set[tuple[str, type[ServerError], str]] = set()

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
            self._refusals = {told for told in self._refusals if told[0] != name}
            version = connection.info.version if connection.info else ""
            self.log.info(
                "{name}: connected to {server} (nats-server {version})",
                name=name,
                server=str(change.server),
                version=_printable(version),
            )
        elif change.state is State.LEAVING:
            self.log.info("{name}: {server} goes away soon: moving to another", name=name, server=str(change.server))
        elif change.state is State.DISCONNECTED:
            self.log.warn(
                "{name}: lost {server}: {reason}; connecting again",
                name=name,
                server=str(change.server),
                reason=_printable(str(change.reason).rstrip(".")),
            )
        elif self._told.get(change.server) != str(change.reason):
            self._told[change.server] = str(change.reason)
            self.log.warn(
                "Cannot use {server}: {reason}. natsroute keeps trying, in silence until that changes",
                server=str(change.server),
                reason=_printable(str(change.reason).rstrip(".")),
            )

    def _refused(self, name: str, error: ServerError) -> None:
        # One of a kind for each connection that was made: a server may say a million, each in other words.
        kind = name, type(error), getattr(error, "operation", "")
        if kind in self._refusals:
            return
        self._refusals.add(kind)
        self.log.error("{name}: the server says: {reason}", name=name, reason=_printable(error.text))


def _printable(text: str) -> str:
    """A server's words, without what a terminal would obey, and what a log could not write."""
    return "".join(char if char.isprintable() else "?" for char in text)
