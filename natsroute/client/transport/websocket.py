"""
NATS over WebSocket: binary messages carry the stream.

autobahn, an optional extra, speaks WebSocket. It is imported when the first endpoint is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from natsroute.client.servers import without_credentials
from natsroute.client.transport.websocket_transport import WebSocketTransport
from natsroute.errors import SettingError


def with_autobahn(url: str) -> Any:
    """
    The module that needs autobahn, :mod:`natsroute.client.transport.websocket_socket`.

    :param url: the server that needs it, for an error.
    :raises SettingError: autobahn is not installed.
    """
    # Imported as late as possible: it is slow, and it selects Twisted for all users of txaio in this process.
    from natsroute.client.transport import websocket_socket

    if not websocket_socket.HAS_AUTOBAHN:
        remedy = "Install it with pip install 'natsroute[websocket]'"
        raise SettingError("nats_url", without_credentials(url), "WebSocket needs autobahn", remedy)
    return websocket_socket


@implementer(IStreamClientEndpoint)
class WebSocketEndpoint:
    """
    Reaches a server by WebSocket.

    :param reactor: the clock.
    :param below: reaches the server by TCP, or by TLS for ``wss``.
    :param url: ``ws://host:port/path`` or ``wss://...``, for the HTTP request. Credentials in it are not sent.
    :param timeout: seconds for the opening handshake, and again for the closing handshake.
    :raises SettingError: autobahn is not installed, or the URL is malformed.
    """

    def __init__(self, reactor: IReactorTime, below: IStreamClientEndpoint, *, url: str, timeout: float) -> None:
        websocket_socket = with_autobahn(url)
        try:
            options = websocket_socket.options(url, reactor)
        except ValueError:
            remedy = "Write ws://HOST:PORT or wss://HOST:PORT"
            raise SettingError("nats_url", without_credentials(url), "it is not a WebSocket URL", remedy) from None
        self._clock = reactor
        self._below = below
        self._timeout = timeout
        self._socket_for = lambda transport: websocket_socket.Socket(transport, options)

    def connect(self, protocol_factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect, and build a protocol whose transport is the WebSocket.

        :return: fires with the protocol when the server has accepted the WebSocket. Fails with
            :class:`~natsroute.errors.HandshakeError` if the server does not accept it, or with the failure of the
            endpoint below. Cancelling it aborts the attempt.
        """
        transport = WebSocketTransport(self._clock, protocol_factory, self._timeout)
        factory = _SocketFactory(protocol_factory, lambda: self._socket_for(transport))
        transport.connect(self._below, factory)
        return transport.opened


class _SocketFactory(Factory):
    """The factory for the endpoint below: builds the socket, and passes doStart and doStop to the factory above."""

    noisy = False

    def __init__(self, above: IProtocolFactory, build: Callable[[], Any]) -> None:
        self._above = above
        self._build = build

    def doStart(self) -> None:
        self._above.doStart()

    def doStop(self) -> None:
        self._above.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._build()
