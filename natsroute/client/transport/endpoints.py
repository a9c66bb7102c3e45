"""How a server is reached: TCP, and WebSocket over it."""

from __future__ import annotations

import errno
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from natsroute.client.servers import Server
from natsroute.client.transport.tls import Tls, TlsSession
from natsroute.client.transport.websocket import WebSocketEndpoint
from natsroute.errors import ConnectionLostError


def endpoint_for_server(reactor: Any, tls: Tls, server: Server, timeout: float) -> IStreamClientEndpoint:
    """
    The endpoint of a server: all addresses of its name, IPv6 and IPv4, are tried.

    TLS inside a NATS connection is not its business: that begins after the server's first words.

    :param timeout: seconds for TCP, and again for what comes over it.
    :raises SettingError: the server needs an extra that is not installed, or a TLS file cannot be used.
    """
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, server.host, server.port, timeout)
    if not server.web:
        return endpoint
    if not server.secure:
        return WebSocketEndpoint(reactor, endpoint, url=f"{server}/", timeout=timeout)
    session = tls.session(server.name)
    endpoint = WebSocketEndpoint(reactor, wrapClientTLS(session, endpoint), url=f"{server}/", timeout=timeout)
    return _TlsEndpoint(endpoint, session)


def attempt_error(error: Exception) -> Exception:
    """
    Why an attempt failed, in the same words for the same cause: a connection that is reset at once is, as chance has
    it, one that was made and lost, or one that could not be made.
    """
    if isinstance(error, ConnectError) and error.osError == errno.ECONNRESET:
        return ConnectionLostError(str(ConnectionLost()))
    return error


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _TlsEndpoint:
    """An endpoint with TLS somewhere below, that says why there is none."""

    _endpoint: IStreamClientEndpoint
    _session: TlsSession

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 (Twisted's name)
        def explain(failure: Failure) -> Failure:
            cause = failure.value.__cause__ if failure.value is not None else None
            error = self._session.error(failure if cause is None else Failure(cause))
            return failure if error is None else Failure(error)

        return self._endpoint.connect(protocolFactory).addErrback(explain)
