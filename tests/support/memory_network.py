"""A NATS server's side in memory, for tests of the client: no sockets, no reactor."""

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
    """A TCP transport; what it is asked to do can be seen."""

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
        """What was written since the last call."""
        data: bytes = self.value()
        self.clear()
        return data


class Link:
    """One connection, with this test as the server."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = MemoryTransport()
        protocol.makeConnection(self.transport)

    def receive(self, data: bytes) -> None:
        """The server sends."""
        self.protocol.dataReceived(data)

    def shake_hands(self, **fields: Any) -> bytes:
        """Go through the handshake; gives what the client said in it."""
        self.receive(info(**fields))
        said = self.transport.sent()
        self.receive(b"PONG\r\n")
        return said

    def answer_pings(self) -> bytes:
        """Answer every PING that was written; gives all that was written."""
        said = self.transport.sent()
        self.receive(b"PONG\r\n" * said.count(b"PING\r\n"))
        return said

    def lose(self) -> None:
        """The connection ends."""
        self.protocol.connectionLost(Failure(error.ConnectionDone()))


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Where a client connects to; an attempt waits in ``attempts`` until the test lets it go on."""

    def __init__(self, network: MemoryNetwork, server: Server) -> None:
        self._network = network
        self._server = server

    def connect(self, factory: IProtocolFactory) -> Deferred[Protocol]:
        self._network.asked.append(str(self._server))
        if str(self._server) in self._network.refusing:
            return fail(error.ConnectionRefusedError())
        protocol = factory.buildProtocol(None)
        self._network.links.append(Link(protocol))
        made: Deferred[Any] = Deferred()
        made.callback(protocol)
        return made


class MemoryNetwork:
    """
    Servers that take connections, or refuse them.

    :ivar asked: the servers that were tried.
    :ivar refusing: URLs that refuse.
    :ivar links: the connections made.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.asked: list[str] = []
        self.refusing: set[str] = set()
        self.links: list[Link] = []

    def endpoint_for(self, server: Server, timeout: float) -> IStreamClientEndpoint:
        return MemoryEndpoint(self, server)

    @property
    def link(self) -> Link:
        """The newest connection."""
        return self.links[-1]
