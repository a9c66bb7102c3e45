"""A TCP proxy that does to connections what networks do: delays, single bytes, cuts within a frame, silence."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

#: Bytes that a flow holds before it stops reading.
MAX_HELD = 64 * 1024

#: Seconds between single bytes: mostly enough for the receiver to read each byte by itself.
GAP = 0.0005


class Proxy(Factory):
    """
    Listens on a free port of the loopback interface, and connects each client to a server there.

    :ivar port: where it listens, once started.
    :ivar target: the server's port. A change has an effect on new connections.
    :ivar connections: the connections through it, the oldest first.
    :ivar refused: the number of connections that it has refused.

    :param latency: seconds by which it delays all bytes of new connections, in each direction.
    """

    noisy = False

    def __init__(self, reactor: Any, target: int, *, latency: float = 0.0) -> None:
        self.port = 0
        self.target = target
        self.connections: list[ProxiedConnection] = []
        self.refused = 0
        self.reactor = reactor
        self.latency = latency
        self._open = True
        self._listening: Any = None

    @property
    def url(self) -> str:
        """Where NATS clients find it."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._listening = self.reactor.listenTCP(0, self, interface="127.0.0.1")
        self.port = self._listening.getHost().port

    async def stop(self) -> None:
        """Stop listening and cut all connections."""
        await self._listening.stopListening()
        for connection in list(self.connections):
            connection.cut()
        while self.connections:
            await deferLater(self.reactor, 0.001)

    def refuse(self) -> None:
        """Close new connections at once. The proxy goes on listening, so that no other program gets the port."""
        self._open = False

    def accept(self) -> None:
        """Undo :meth:`refuse`."""
        self._open = True

    def buildProtocol(self, addr: object) -> Protocol:
        if not self._open:
            self.refused += 1
            return _Refusal()
        connection = ProxiedConnection(self)
        self.connections.append(connection)
        return connection.client


class ProxiedConnection:
    """
    One connection through the proxy.

    :ivar client: the socket to the client.
    :ivar server: the socket to the server.
    :ivar to_server: the flow from the client to the server.
    :ivar to_client: the flow from the server to the client.
    """

    def __init__(self, proxy: Proxy) -> None:
        self.client, self.server = _Socket(self), _Socket(self)
        self.to_server = self.client.flow = Flow(proxy.reactor, self.client, self.server)
        self.to_client = self.server.flow = Flow(proxy.reactor, self.server, self.client)
        for flow in self.flows:
            flow.delay = proxy.latency
        self._proxy = proxy
        self._connector: Any = None

    @property
    def flows(self) -> tuple[Flow, Flow]:
        """Both directions."""
        return self.to_server, self.to_client

    def cut(self) -> None:
        """Close it now, with a RST to both sides. What it holds is lost."""
        for socket in (self.client, self.server):
            if socket.connected:
                socket.transport.abortConnection()

    def changed(self, socket: _Socket) -> None:
        """One of the sockets has connected or disconnected."""
        proxy = self._proxy
        if not socket.connected:
            socket.flow.finish()
            self._flow_to(socket).drop()
            if socket is self.client and not self.server.connected:
                self._connector.disconnect()
        elif socket is self.client:
            socket.transport.pauseProducing()
            self._connector = proxy.reactor.connectTCP("127.0.0.1", proxy.target, _ToServer(self))
        else:
            for flow in self.flows:
                flow.begin()
        if not (self.client.connected or self.server.connected):
            proxy.connections.remove(self)

    def _flow_to(self, socket: _Socket) -> Flow:
        return self.to_client if socket is self.client else self.to_server


@implementer(IPushProducer)
class Flow:
    """
    One direction of a connection.

    :ivar delay: seconds by which bytes that come from now on are delayed.
    :ivar passed: bytes that were written so far.
    :ivar held: bytes that were read and not written yet.
    """

    def __init__(self, reactor: Any, source: _Socket, sink: _Socket) -> None:
        self.delay = 0.0
        self.passed = self.held = 0
        self._reactor = reactor
        self._source = source
        self._sink = sink
        self._queue: deque[tuple[float, bytes]] = deque()  # each with the time when it is due
        self._single = 0
        self._until_cut: int | None = None
        self._stalled = self._sink_is_full = self._finished = False
        self._next: IDelayedCall | None = None

    # -- what networks do -----------------------------------------------------------------------------------------

    def split(self, count: int) -> None:
        """Write the next bytes one by one."""
        self._single = count

    def cut_after(self, count: int) -> None:
        """Cut the connection after that number of further bytes, at least one. Those bytes arrive."""
        self._until_cut = count

    def stall(self) -> None:
        """Stop reading and writing."""
        self._stalled = True
        self._regulate()

    def resume(self) -> None:
        """Undo :meth:`stall`."""
        self._stalled = False
        self._pump()

    # -- for the connection ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Both sockets are connected."""
        self._sink.transport.registerProducer(self, True)
        self._pump()

    def take(self, data: bytes) -> None:
        """Bytes came from the source."""
        if not self._sink.connected:
            return
        self._queue.append((self._reactor.seconds() + self.delay, data))
        self.held += len(data)
        self._pump()

    def finish(self) -> None:
        """The source is closed. Close the sink when everything is written."""
        self._finished = True
        self._pump()

    def drop(self) -> None:
        """The sink is closed. What is held never arrives."""
        self._forget()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def pauseProducing(self) -> None:
        self._sink_is_full = True

    def resumeProducing(self) -> None:
        self._sink_is_full = False
        self._pump()

    def stopProducing(self) -> None:
        """The sink is closed."""

    def _pump(self) -> None:
        while self._queue and self._next is None and not self._stalled and not self._sink_is_full:
            wait = self._queue[0][0] - self._reactor.seconds()
            if wait <= 0:
                self._pass_on()
                wait = GAP
                if not self._single:
                    continue
            self._next = self._reactor.callLater(wait, self._pump_again)
        self._regulate()

    def _pump_again(self) -> None:
        self._next = None
        self._pump()

    def _pass_on(self) -> None:
        due, data = self._queue.popleft()
        size = 1 if self._single else len(data)
        if self._until_cut is not None:
            size = min(size, self._until_cut)
        piece, rest = data[:size], data[size:]
        if rest:
            self._queue.appendleft((due, rest))
        self._sink.transport.write(piece)
        self._single = max(0, self._single - len(piece))
        self.held -= len(piece)
        self.passed += len(piece)
        if self._until_cut is not None:
            self._until_cut -= len(piece)
            if not self._until_cut:
                self._forget()
                self._close_sink()
                if self._source.connected:
                    self._source.transport.abortConnection()

    def _forget(self) -> None:
        self._queue.clear()
        self.held = 0

    def _regulate(self) -> None:
        if self._source.connected and self._sink.connected:
            if self._stalled or self.held > MAX_HELD:
                self._source.transport.pauseProducing()
            else:
                self._source.transport.resumeProducing()
        elif self._finished and not self._queue and self._sink.connected:
            self._close_sink()

    def _close_sink(self) -> None:
        self._sink.transport.unregisterProducer()
        self._sink.transport.resumeProducing()  # a transport that does not read does not notice that it is closed
        self._sink.transport.loseConnection()


class _Socket(Protocol):
    """One of the two sockets of a connection."""

    transport: Any
    flow: Flow

    def __init__(self, connection: ProxiedConnection) -> None:
        self.connected = False
        self._connection = connection

    def connectionMade(self) -> None:
        self.connected = True
        self.transport.setTcpNoDelay(True)
        self._connection.changed(self)

    def dataReceived(self, data: bytes) -> None:
        self.flow.take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected = False
        self._connection.changed(self)


class _ToServer(ClientFactory):
    noisy = False

    def __init__(self, connection: ProxiedConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: object) -> Protocol:
        return self._connection.server

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._connection.cut()


class _Refusal(Protocol):
    transport: Any

    def connectionMade(self) -> None:
        self.transport.abortConnection()
