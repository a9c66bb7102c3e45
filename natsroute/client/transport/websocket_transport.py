"""A WebSocket as the transport of a protocol, which uses it like TCP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
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
from twisted.python.failure import Failure
from zope.interface import implementer

from natsroute.errors import HandshakeError
from natsroute.log import Logger

_NORMAL_CLOSURE = 1000
_NO_RESPONSE = "no response to the WebSocket handshake"


@implementer(ITransport, IConsumer, IPushProducer)
class WebSocketTransport:
    """
    The transport of one protocol on one connection. Each write is one binary message.

    :param factory: builds the protocol when the server has accepted the WebSocket.
    :param timeout: seconds for the opening handshake, and again for the closing handshake.

    :ivar opened: a Deferred that fires with the protocol when the server has accepted the WebSocket. Fails with
        :class:`~natsroute.errors.HandshakeError` if the server does not accept it, or with the failure of the endpoint
        below. Cancelling it aborts the attempt. The CancelledError has a text if TCP was connected.
    :ivar disconnecting: whether it is closing: no more data is written or delivered.
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
        """Connect to the server. ``factory`` builds the socket, which calls the ``on_`` methods below."""
        self._connecting = below.connect(factory)
        self._connecting.addErrback(lambda failure: None if self.opened.called else self.opened.errback(failure))

    def _cancel(self) -> None:
        self.disconnecting = True
        if self._socket is not None:
            self.abortConnection()
            self.opened.errback(CancelledError(_NO_RESPONSE))
        elif self._connecting is not None:
            self._connecting.cancel()

    # -- called by the socket -----------------------------------------------------------------------------------------

    def on_connected(self, socket: Any) -> None:
        """TCP is connected, and the opening handshake begins."""
        self._socket = socket
        problem = f"{_NO_RESPONSE} within {self._timeout} s"
        self._timer = self._clock.callLater(self._timeout, lambda: self.on_error(HandshakeError(problem)))

    def on_open(self) -> None:
        """The server has accepted the WebSocket."""
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
            self.on_error(error)
        else:
            self.opened.callback(self._protocol)

    def on_data(self, data: bytes) -> None:
        """A piece of a binary message has arrived."""
        try:
            if not self.disconnecting and self._protocol is not None:
                self._protocol.dataReceived(data)
        except Exception as error:
            # Twisted would do this too, but autobahn swallows some exceptions.
            self.log.failure("A protocol over WebSocket raised an exception; its connection is closed")
            self.on_error(error)

    def on_error(self, error: Exception) -> None:
        """The opening handshake, or the connection later, has failed: abort it."""
        if self.disconnecting:
            return
        self._reason = Failure(error)
        self.abortConnection()
        if not self.opened.called:
            self.opened.errback(error)

    def on_closing(self, reason: Exception) -> None:
        """The server has started the closing handshake, and will close the connection."""
        if not self.disconnecting:
            self._reason = Failure(reason)
            self._wait_for_end(self.abortConnection)

    def on_close_answered(self) -> None:
        """The server has answered our closing handshake, so it has read everything."""
        self._socket.transport.loseConnection()

    def on_lost(self, lost: Failure, problem: Exception | None = None) -> None:
        """
        The connection below is lost.

        :param problem: the cause, if more is known than ``lost`` says.
        """
        self._cancel_timer()
        self.disconnecting = True
        if not self.opened.called:
            error = HandshakeError(f"the connection ended during the WebSocket handshake: {lost.getErrorMessage()}")
            error.__cause__ = lost.value
            self.opened.errback(error)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(self._reason or (Failure(problem) if problem else lost))

    def _wait_for_end(self, give_up: Any) -> None:
        self.disconnecting = True
        self._socket.transport.resumeProducing()  # a transport that does not read does not notice its end
        self._timer = self._clock.callLater(self._timeout, give_up)

    def _cancel_timer(self) -> None:
        if self._timer and self._timer.active():
            self._timer.cancel()

    # -- called by the protocol ---------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send a binary message."""
        if data and not self.disconnecting:
            self._socket.sendMessage(bytes(data), True)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send everything as one binary message."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close it when the server has read everything, which its answer to our close shows."""
        if not self.disconnecting:
            self._socket.sendClose(_NORMAL_CLOSURE)
            self._wait_for_end(self._socket.transport.loseConnection)

    def abortConnection(self) -> None:
        """Close it at once."""
        self.disconnecting = True
        self._socket.transport.abortConnection()

    def pauseProducing(self) -> None:
        """Stop reading. Data that has been read already is still delivered."""
        if not self.disconnecting:
            self._socket.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        if not self.disconnecting:
            self._socket.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Like :meth:`loseConnection`."""
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Tell a producer when the connection below takes no more data for now."""
        self._socket.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Stop telling the producer."""
        self._socket.transport.unregisterProducer()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Choose whether small writes go out at once."""
        self._socket.transport.setTcpNoDelay(enabled)

    def getPeer(self) -> Any:
        """The server's IAddress."""
        return self._socket.transport.getPeer()

    def getHost(self) -> Any:
        """Our IAddress."""
        return self._socket.transport.getHost()
