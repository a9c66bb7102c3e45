"""tests.chaos.proxy: it does to a connection what it is asked to do, and nothing else"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.chaos.proxy import MAX_HELD, ProxiedConnection, Proxy
from tests.support.nats_server import reserve_tcp_port
from tests.support.waiting import until


class Recorder(Protocol):
    """Records what it receives, chunk by chunk."""

    transport: Any

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.end: Failure | None = None

    @property
    def received(self) -> bytes:
        return b"".join(self.chunks)

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.chunks.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.end = reason


class ProxyTests(TestCase):
    """A client, a proxy and a server."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.servers: list[Recorder] = []
        self.proxy = Proxy(reactor, self.listen())
        self.proxy.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.proxy.stop()))

    def listen(self) -> int:
        """Start a server; returns its port."""

        class Server(Factory):
            noisy = False

            def buildProtocol(_, addr: object) -> Recorder:  # noqa: N805
                self.servers.append(Recorder())
                return self.servers[-1]

        listening = self.reactor.listenTCP(0, Server(), interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.until(lambda: all(each.end for each in self.servers))))
        port: int = listening.getHost().port
        return port

    async def connect(self) -> Recorder:
        """Connect a client to the proxy, which may refuse it."""
        client: Any = await TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.proxy.port).connect(
            Factory.forProtocol(Recorder)
        )
        self.addCleanup(client.transport.abortConnection)
        return client

    async def connect_through(self) -> tuple[Recorder, Recorder, ProxiedConnection]:
        """Connect a client through the proxy; returns the client, the server, and the connection between them."""
        known = len(self.servers)
        client = await self.connect()
        await self.until(lambda: len(self.servers) > known and self.proxy.connections[-1].server.connected)
        return client, self.servers[-1], self.proxy.connections[-1]

    async def until(self, condition: Any) -> None:
        await until(condition, self.reactor)

    async def test_both_ways(self) -> None:
        """All bytes come through, in order, and then the close."""
        client, server, _ = await self.connect_through()
        request, response = bytes(range(256)) * 10_000, b"x" * 3_000_000
        client.transport.write(request)
        server.transport.write(response)
        await self.until(lambda: server.received == request and client.received == response)
        client.transport.write(b"last words")
        client.transport.loseConnection()
        await self.until(lambda: server.end is not None and not self.proxy.connections)
        self.assertEqual(server.received[-10:], b"last words")

    async def test_single_bytes(self) -> None:
        """That number of bytes is passed on one by one, and no more. On its way, a busy machine may join some."""
        client, server, connection = await self.connect_through()
        written: list[bytes] = []
        write = connection.server.transport.write

        def record(data: bytes) -> None:
            written.append(data)
            write(data)

        self.patch(connection.server.transport, "write", record)
        connection.to_server.split(50)
        client.transport.write(b"a" * 100)
        await self.until(lambda: len(server.received) == 100)
        self.assertEqual(written, [b"a"] * 50 + [b"a" * 50])

    async def test_delay(self) -> None:
        client, server, connection = await self.connect_through()
        connection.to_client.delay = 0.3
        began = self.reactor.seconds()
        server.transport.write(b"late")
        client.transport.write(b"at once")
        await self.until(lambda: server.received == b"at once" and client.received == b"late")
        self.assertGreaterEqual(self.reactor.seconds() - began, 0.3)

    async def test_cut(self) -> None:
        """Both sides get a RST."""
        client, server, connection = await self.connect_through()
        connection.cut()
        await self.until(lambda: client.end and server.end and not self.proxy.connections)
        self.assertIsNone(client.end.check(ConnectionDone))  # type: ignore[union-attr]

    async def test_cut_in_the_middle(self) -> None:
        """That number of bytes arrives, and no more."""
        client, server, connection = await self.connect_through()
        connection.to_client.cut_after(7)
        server.transport.write(b"1234")
        await self.until(lambda: client.received == b"1234")
        server.transport.write(b"567890")
        await self.until(lambda: client.end and server.end)
        self.assertEqual(client.received, b"1234567")

    async def test_stall(self) -> None:
        """One direction stops and holds no more than its buffers; the other one goes on."""
        client, server, connection = await self.connect_through()
        connection.to_server.stall()
        data = b"y" * 50_000_000
        client.transport.write(data)
        server.transport.write(b"hello")
        await self.until(lambda: client.received == b"hello")
        await deferLater(self.reactor, 0.1)
        self.assertEqual(server.received, b"")
        self.assertLess(connection.to_server.held, 2 * MAX_HELD)
        connection.to_server.resume()
        await self.until(lambda: len(server.received) == len(data))

    async def test_refuse(self) -> None:
        """New clients are refused, and connections stay."""
        client, server, _ = await self.connect_through()
        self.proxy.refuse()
        second = await self.connect()
        await self.until(lambda: second.end)
        client.transport.write(b"still here")
        await self.until(lambda: server.received == b"still here")
        self.proxy.accept()
        await self.connect_through()

    async def test_another_target(self) -> None:
        """It has an effect on new connections."""
        self.proxy.target = self.listen()
        client, server, _ = await self.connect_through()
        client.transport.write(b"there")
        await self.until(lambda: server.received == b"there")

    async def test_no_server(self) -> None:
        """The client is refused."""
        self.proxy.target = reserve_tcp_port()
        client = await self.connect()
        await self.until(lambda: client.end and not self.proxy.connections)
