"""Between a WebSocket and the protocol that is spoken over it: looks like TCP from above."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from natsroute.errors import HandshakeError

_NORMAL_CLOSURE = 1000


@implementer(ITransport, IConsumer, IPushProducer)
class WebSocketTransport:
    """
    The transport of one protocol, and of one connection. Each write is one binary message.

    :ivar opened: a Deferred that fires with the protocol when the server has accepted the WebSocket; fails with
        :class:`~natsroute.errors.HandshakeError` if it does not, or with what the endpoint below failed with.
    :ivar disconnecting: nothing more goes up or down.

    :param factory: builds the protocol, once the WebSocket is accepted.
    :param timeout: seconds for the opening handshake, and again for the closing one.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, factory: IProtocolFactory, timeout: float) -> None:
        self.opened: Deferred[IProtocol] = Deferred(lambda _: self._cancel())
        self.disconnecting = False
        self._clock = clock
        self._factory = factory
        self._timeout = timeout
        self._connecting: Deferred[Any] | None = None
        self._socket: Any = None
        self._protocol: IProtocol | None = None
        self._timer: IDelayedCall | None = None
        self._reason: Failure | None = None

    def connect(self, below: IStreamClientEndpoint, factory: IProtocolFactory) -> None:
        """Reach the server; ``factory`` builds the socket, which calls the methods that come next."""
        self._connecting = below.connect(factory)
        self._connecting.addErrback(lambda failure: None if self.opened.called else self.opened.errback(failure))

    def _cancel(self) -> None:
        self.disconnecting = True
        if self._socket is not None:
            self.abortConnection()
        elif self._connecting is not None:
            self._connecting.cancel()

    # -- what the socket tells ------------------------------------------------------------------------------------

    def connected(self, socket: Any) -> None:
        """There is a connection, and the handshake begins."""
        self._socket = socket
        problem = f"no answer to the WebSocket handshake within {self._timeout} s"
        self._timer = self._clock.callLater(self._timeout, lambda: self.fail(HandshakeError(problem)))

    def open(self) -> None:
        """The server accepted."""
        self._cancel_timer()
        if self.disconnecting:
            return
        try:
            self._protocol = self._factory.buildProtocol(self.getPeer())
            if self._protocol is None:
                raise NoProtocol()
            self._protocol.makeConnection(self)
        except Exception as error:
            self._protocol = None
            self.fail(error)
        else:
            self.opened.callback(self._protocol)

    def received(self, data: bytes) -> None:
        """A piece of a binary message came."""
        try:
            if not self.disconnecting and self._protocol is not None:
                self._protocol.dataReceived(data)
        except Exception as error:
            # Twisted would see to that, but autobahn does not let every exception out.
            self.log.failure("A protocol over WebSocket raised an exception; its connection is dropped")
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """It cannot go on, in the handshake or later."""
        if self.disconnecting:
            return
        self._reason = Failure(error)
        self.abortConnection()
        if not self.opened.called:
            self.opened.errback(error)

    def closing(self, reason: Exception) -> None:
        """The server ends it, and now closes the connection below."""
        if not self.disconnecting:
            self._reason = Failure(reason)
            self._wait_for_end(self.abortConnection)

    def server_has_all(self) -> None:
        """The server has read our close."""
        self._socket.transport.loseConnection()

    def ended(self, lost: Failure, problem: Exception | None = None) -> None:
        """
        The connection below is gone.

        :param problem: why, if more is known than ``lost`` says.
        """
        self._cancel_timer()
        self.disconnecting = True
        if not self.opened.called:
            error = HandshakeError(f"the connection ended in the WebSocket handshake: {lost.getErrorMessage()}")
            error.__cause__ = lost.value
            self.opened.errback(error)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(self._reason or (Failure(problem) if problem else lost))

    def _wait_for_end(self, give_up: Any) -> None:
        self.disconnecting = True
        self._socket.transport.resumeProducing()  # who does not read does not notice the end
        self._timer = self._clock.callLater(self._timeout, give_up)

    def _cancel_timer(self) -> None:
        if self._timer and self._timer.active():
            self._timer.cancel()

    # -- what the protocol asks for -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send a binary message."""
        if data and not self.disconnecting:
            self._socket.sendMessage(bytes(data), True)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send all together as a binary message."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """End it when the server has read all that was written; it says so by closing too."""
        if not self.disconnecting:
            self._socket.sendClose(_NORMAL_CLOSURE)
            self._wait_for_end(self._socket.transport.loseConnection)

    def abortConnection(self) -> None:
        """End it at once."""
        self.disconnecting = True
        self._socket.transport.abortConnection()

    def pauseProducing(self) -> None:
        """Stop reading; the rest of what was read already still comes."""
        if not self.disconnecting:
            self._socket.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        if not self.disconnecting:
            self._socket.transport.resumeProducing()

    def stopProducing(self) -> None:
        """As :meth:`loseConnection`."""
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a producer know when the connection below takes no more for now."""
        self._socket.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """The producer wants to know no longer."""
        self._socket.transport.unregisterProducer()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Whether small writes go out at once."""
        self._socket.transport.setTcpNoDelay(enabled)

    def getPeer(self) -> Any:
        """The server's IAddress."""
        return self._socket.transport.getPeer()

    def getHost(self) -> Any:
        """Our IAddress."""
        return self._socket.transport.getHost()
