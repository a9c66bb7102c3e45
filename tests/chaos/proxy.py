"""A TCP proxy that does to connections what networks do: delays, single bytes, cuts in mid-frame, silence."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

#: Bytes that a flow holds before it reads no more.
MAX_HELD = 64 * 1024

#: Seconds between bytes that are written one by one: enough for the receiver to read each by itself, mostly.
GAP = 0.0005


class Proxy(Factory):
    """
    Listens on a free port of the loopback interface, and leads each visitor to a server there.

    :ivar port: where it listens, once started.
    :ivar target: the server's port; it may change at any time.
    :ivar passages: the connections through it, the oldest first.
    :ivar refused: visitors sent away.
    """

    noisy = False

    def __init__(self, reactor: Any, target: int) -> None:
        self.port = 0
        self.target = target
        self.passages: list[Passage] = []
        self.refused = 0
        self.reactor = reactor
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
        """Cut all, and listen no more."""
        await self._listening.stopListening()
        for passage in list(self.passages):
            passage.cut()
        while self.passages:
            await deferLater(self.reactor, 0.001)

    def refuse(self) -> None:
        """Send new visitors away at once. (The port stays ours: another program could get it.)"""
        self._open = False

    def accept(self) -> None:
        """Undo :meth:`refuse`."""
        self._open = True

    def buildProtocol(self, addr: object) -> Protocol:
        if not self._open:
            self.refused += 1
            return _Refusal()
        passage = Passage(self)
        self.passages.append(passage)
        return passage.client


class Passage:
    """
    One connection through the proxy.

    :ivar to_server: the flow of what the client says.
    :ivar to_client: the flow of what the server says.
    """

    def __init__(self, proxy: Proxy) -> None:
        self.client, self.server = _End(self), _End(self)
        self.to_server = self.client.flow = Flow(proxy.reactor, self.client, self.server)
        self.to_client = self.server.flow = Flow(proxy.reactor, self.server, self.client)
        self._proxy = proxy
        self._connector: Any = None

    @property
    def flows(self) -> tuple[Flow, Flow]:
        """Both directions."""
        return self.to_server, self.to_client

    def cut(self) -> None:
        """End it now, with a RST to both sides; what is on its way is lost."""
        for end in (self.client, self.server):
            if end.is_there:
                end.transport.abortConnection()

    def changed(self, end: _End) -> None:
        """One end came or went."""
        proxy = self._proxy
        if not end.is_there:
            end.flow.finish()
            self._towards(end).drop()
            if end is self.client and not self.server.is_there:
                self._connector.disconnect()
        elif end is self.client:
            end.transport.pauseProducing()
            self._connector = proxy.reactor.connectTCP("127.0.0.1", proxy.target, _ToServer(self))
        else:
            for flow in self.flows:
                flow.begin()
        if not (self.client.is_there or self.server.is_there):
            proxy.passages.remove(self)

    def _towards(self, end: _End) -> Flow:
        return self.to_client if end is self.client else self.to_server


@implementer(IPushProducer)
class Flow:
    """
    One direction of a passage.

    :ivar delay: seconds that each byte takes from now on.
    :ivar passed: bytes so far.
    :ivar held: bytes that were read and not written.
    """

    def __init__(self, reactor: Any, source: _End, sink: _End) -> None:
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

    # -- what can be done to it -----------------------------------------------------------------------------------

    def split(self, count: int) -> None:
        """Write the next bytes one by one."""
        self._single = count

    def cut_after(self, count: int) -> None:
        """End the passage when so many more bytes, at least one, have passed; those do arrive."""
        self._until_cut = count

    def stall(self) -> None:
        """Neither read nor write."""
        self._stalled = True
        self._regulate()

    def go_on(self) -> None:
        """Undo :meth:`stall`."""
        self._stalled = False
        self._pump()

    # -- its passage's side ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Both ends are there."""
        self._sink.transport.registerProducer(self, True)
        self._pump()

    def take(self, data: bytes) -> None:
        """The source says something."""
        if not self._sink.is_there:
            return
        self._queue.append((self._reactor.seconds() + self.delay, data))
        self.held += len(data)
        self._pump()

    def finish(self) -> None:
        """The source has ended: so does the sink, when it has got all."""
        self._finished = True
        self._pump()

    def drop(self) -> None:
        """The sink has ended: what is held will never arrive."""
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
        """The sink is lost."""

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
        most = 1 if self._single else len(data)
        if self._until_cut is not None:
            most = min(most, self._until_cut)
        piece, rest = data[:most], data[most:]
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
                if self._source.is_there:
                    self._source.transport.abortConnection()

    def _forget(self) -> None:
        self._queue.clear()
        self.held = 0

    def _regulate(self) -> None:
        if self._source.is_there and self._sink.is_there:
            if self._stalled or self.held > MAX_HELD:
                self._source.transport.pauseProducing()
            else:
                self._source.transport.resumeProducing()
        elif self._finished and not self._queue and self._sink.is_there:
            self._close_sink()

    def _close_sink(self) -> None:
        self._sink.transport.unregisterProducer()
        self._sink.transport.resumeProducing()  # a transport that does not read would not notice its end
        self._sink.transport.loseConnection()


class _End(Protocol):
    """One socket of a passage."""

    transport: Any
    flow: Flow

    def __init__(self, passage: Passage) -> None:
        self.is_there = False
        self._passage = passage

    def connectionMade(self) -> None:
        self.is_there = True
        self.transport.setTcpNoDelay(True)
        self._passage.changed(self)

    def dataReceived(self, data: bytes) -> None:
        self.flow.take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_there = False
        self._passage.changed(self)


class _ToServer(ClientFactory):
    noisy = False

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    def buildProtocol(self, addr: object) -> Protocol:
        return self._passage.server

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._passage.cut()


class _Refusal(Protocol):
    transport: Any

    def connectionMade(self) -> None:
        self.transport.abortConnection()
