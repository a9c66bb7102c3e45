"""A NATS server in memory, for tests of the client: no sockets, no reactor."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from natsroute.client.servers import Server

INFO = {"server_id": "S", "version": "2.15.1", "max_payload": 1024, "headers": True, "proto": 1}


def info(**fields: Any) -> bytes:
    """An INFO line."""
    return b"INFO " + json.dumps({**INFO, **fields}).encode() + b"\r\n"


class MemoryTransport(StringTransport):
    """A TCP transport that records its calls."""

    aborted = False
    tls: Any = None
    no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def startTLS(self, options: Any, normal: bool = True) -> bool:
        self.tls = options
        return True

    def abortConnection(self) -> None:
        self.aborted = True

    def sent(self) -> bytes:
        """The data that was written since the last call."""
        data: bytes = self.value()
        self.clear()
        return data


class Link:
    """One connection, with the test as its server."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = MemoryTransport()
        protocol.makeConnection(self.transport)

    def receive(self, data: bytes) -> None:
        """The server sends data."""
        self.protocol.dataReceived(data)

    def shake_hands(self, **fields: Any) -> bytes:
        """Do the whole handshake. Returns what the client wrote."""
        self.receive(info(**fields))
        said = self.transport.sent()
        self.receive(b"PONG\r\n")
        return said

    def answer_pings(self) -> bytes:
        """Answer every PING that was written. Returns all that was written."""
        said = self.transport.sent()
        self.receive(b"PONG\r\n" * said.count(b"PING\r\n"))
        return said

    def lose(self) -> None:
        """The connection is lost."""
        self.protocol.connectionLost(Failure(error.ConnectionDone()))


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """The endpoint of a server. It connects at once, or is refused."""

    def __init__(self, network: MemoryNetwork, server: Server) -> None:
        self._network = network
        self._server = server

    def connect(self, factory: IProtocolFactory) -> Deferred[Protocol]:
        self._network.asked.append(str(self._server))
        if str(self._server) in self._network.refusing:
            return fail(error.ConnectionRefusedError())
        if str(self._server) in self._network.unresolved:
            return Deferred(lambda _: None).addBoth(lambda _: Deferred())
        protocol = factory.buildProtocol(None)
        self._network.links.append(Link(protocol))
        made: Deferred[Any] = Deferred()
        made.callback(protocol)
        return made


class MemoryNetwork:
    """
    Servers that accept or refuse connections.

    :ivar asked: the URLs of all attempts.
    :ivar refusing: URLs of the servers that refuse.
    :ivar unresolved: URLs of the servers whose names are looked up without an end. A look-up cannot be cancelled.
    :ivar links: the accepted connections.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.asked: list[str] = []
        self.refusing: set[str] = set()
        self.unresolved: set[str] = set()
        self.links: list[Link] = []

    def endpoint_for(self, server: Server, timeout: float, address: str) -> IStreamClientEndpoint:
        """For :class:`~natsroute.client.connection.Connection`."""
        return MemoryEndpoint(self, server)

    @property
    def link(self) -> Link:
        """The newest connection."""
        return self.links[-1]
