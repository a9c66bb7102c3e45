"""Reaches a server by TCP, or by WebSocket over TCP."""

from __future__ import annotations

import errno
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from natsroute.client.servers import Server
from natsroute.client.transport.tls import Tls, TlsSession
from natsroute.client.transport.websocket import WebSocketEndpoint
from natsroute.errors import ConnectionLostError


def endpoint_for_server(reactor: Any, tls: Tls, server: Server, timeout: float, address: str) -> IStreamClientEndpoint:
    """
    Make the endpoint of a server at one of its addresses.

    With ``tls://`` and ``nats://`` the endpoint does not start TLS: the protocol does, when it has the server's INFO.

    :param timeout: seconds for TCP, and for the WebSocket handshake.
    :param address: an IP address.
    :raises SettingError: the server needs an extra that is not installed, or a TLS file cannot be used.
    """
    # HostnameEndpoint would ask the resolver for an address too, and its threads may all be busy with names.
    tcp = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
    endpoint: IStreamClientEndpoint = tcp(reactor, address, server.port, timeout)
    if not server.web:
        return endpoint
    if not server.secure:
        return WebSocketEndpoint(reactor, endpoint, url=f"{server}/", timeout=timeout)
    session = tls.session(server.name)
    endpoint = WebSocketEndpoint(reactor, wrapClientTLS(session, endpoint), url=f"{server}/", timeout=timeout)
    return _TlsEndpoint(endpoint, session)


def attempt_error(error: Exception) -> Exception:
    """
    The error of a failed attempt, with the same text for the same cause.

    Whether a connection that is reset at once was never made, or was made and lost, is a matter of chance.
    """
    if isinstance(error, ConnectError) and error.osError == errno.ECONNRESET:
        return ConnectionLostError(str(ConnectionLost()))
    return error


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _TlsEndpoint:
    """An endpoint over TLS, whose failures say why TLS failed."""

    _endpoint: IStreamClientEndpoint
    _session: TlsSession

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 (Twisted's name)
        def explain(failure: Failure) -> Failure:
            cause = failure.value.__cause__ if failure.value is not None else None
            error = self._session.error(failure if cause is None else Failure(cause))
            return failure if error is None else Failure(error)

        return self._endpoint.connect(protocolFactory).addErrback(explain)
