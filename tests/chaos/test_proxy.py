"""The proxy itself: what it is told to do to a connection it does, and nothing else."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.chaos.proxy import MAX_HELD, Passage, Proxy
from tests.support.cases import until


class Ear(Protocol):
    """Keeps what it hears, chunk by chunk."""

    transport: Any

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.end: Failure | None = None

    @property
    def heard(self) -> bytes:
        return b"".join(self.chunks)

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.chunks.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.end = reason


class ProxyTests(TestCase):
    """A client and a server with a proxy between them."""

    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.servers: list[Ear] = []
        self.proxy = Proxy(reactor, self.listen())
        self.proxy.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.proxy.stop()))

    def listen(self) -> int:
        """A server's port."""

        class Server(Factory):
            noisy = False

            def buildProtocol(_, addr: object) -> Ear:  # noqa: N805
                self.servers.append(Ear())
                return self.servers[-1]

        listening = self.reactor.listenTCP(0, Server(), interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.until(lambda: all(ear.end for ear in self.servers))))
        port: int = listening.getHost().port
        return port

    async def visit(self) -> Ear:
        """A client that may have got through, or not."""
        client: Any = await TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.proxy.port).connect(
            Factory.forProtocol(Ear)
        )
        self.addCleanup(client.transport.abortConnection)
        return client

    async def meet(self) -> tuple[Ear, Ear, Passage]:
        """A client, its server, and what lies between."""
        known = len(self.servers)
        client = await self.visit()
        await self.until(lambda: len(self.servers) > known and self.proxy.passages[-1].server.is_there)
        return client, self.servers[-1], self.proxy.passages[-1]

    async def until(self, condition: Any) -> None:
        await until(condition, self.reactor)

    async def test_both_ways(self) -> None:
        """All bytes, in order, and then the end."""
        client, server, _ = await self.meet()
        question, answer = bytes(range(256)) * 10_000, b"x" * 3_000_000
        client.transport.write(question)
        server.transport.write(answer)
        await self.until(lambda: server.heard == question and client.heard == answer)
        client.transport.write(b"last words")
        client.transport.loseConnection()
        await self.until(lambda: server.end is not None and not self.proxy.passages)
        self.assertEqual(server.heard[-10:], b"last words")

    async def test_single_bytes(self) -> None:
        """Only as many as were asked for."""
        client, server, passage = await self.meet()
        passage.to_server.split(50)
        client.transport.write(b"a" * 100)
        await self.until(lambda: len(server.heard) == 100)
        self.assertGreater(len(server.chunks), 40, "a busy machine may put a few together")
        self.assertLess(len(server.chunks), 60)

    async def test_delay(self) -> None:
        client, server, passage = await self.meet()
        passage.to_client.delay = 0.3
        began = self.reactor.seconds()
        server.transport.write(b"late")
        client.transport.write(b"at once")
        await self.until(lambda: server.heard == b"at once" and client.heard == b"late")
        self.assertGreaterEqual(self.reactor.seconds() - began, 0.3)

    async def test_cut(self) -> None:
        """A RST, to both."""
        client, server, passage = await self.meet()
        passage.cut()
        await self.until(lambda: client.end and server.end and not self.proxy.passages)
        self.assertIsNone(client.end.check(ConnectionDone))  # type: ignore[union-attr]

    async def test_cut_in_the_middle(self) -> None:
        """So many bytes arrive, and no more."""
        client, server, passage = await self.meet()
        passage.to_client.cut_after(7)
        server.transport.write(b"1234")
        await self.until(lambda: client.heard == b"1234")
        server.transport.write(b"567890")
        await self.until(lambda: client.end and server.end)
        self.assertEqual(client.heard, b"1234567")

    async def test_stall(self) -> None:
        """One direction stops, and takes no more than the buffers hold; the other goes on."""
        client, server, passage = await self.meet()
        passage.to_server.stall()
        data = b"y" * 50_000_000
        client.transport.write(data)
        server.transport.write(b"hello")
        await self.until(lambda: client.heard == b"hello")
        await deferLater(self.reactor, 0.1)
        self.assertEqual(server.heard, b"")
        self.assertLess(passage.to_server.held, 2 * MAX_HELD)
        passage.to_server.go_on()
        await self.until(lambda: len(server.heard) == len(data))

    async def test_refuse(self) -> None:
        """New visitors are sent away; those that are there stay."""
        client, server, _ = await self.meet()
        self.proxy.refuse()
        second = await self.visit()
        await self.until(lambda: second.end)
        client.transport.write(b"still here")
        await self.until(lambda: server.heard == b"still here")
        self.proxy.accept()
        await self.meet()

    async def test_another_target(self) -> None:
        """For those that come from now on."""
        self.proxy.target = self.listen()
        client, server, _ = await self.meet()
        client.transport.write(b"there")
        await self.until(lambda: server.heard == b"there")

    async def test_nobody_there(self) -> None:
        """The visitor is sent away."""
        listening = self.reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        self.proxy.target = listening.getHost().port
        await listening.stopListening()
        client = await self.visit()
        await self.until(lambda: client.end and not self.proxy.passages)
