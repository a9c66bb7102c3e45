"""How a connection reaches its servers: makes each attempt, and the protocol for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure

from natsroute._version import __version__
from natsroute.client.attempt import Attempt, Connect
from natsroute.client.auth import Credentials, CredentialsSource, ask_for_credentials
from natsroute.client.options import InboundLimits, Security, Timing
from natsroute.client.protocol import NatsProtocol
from natsroute.client.servers import Server
from natsroute.client.tls_memory import TlsMemory
from natsroute.client.transport.tls import Tls
from natsroute.errors import ServerError, TlsError
from natsroute.wire.frames import Info, Msg


class EndpointFor(Interface):
    """Makes the endpoint of a server at one of its IP addresses; ``timeout`` is in seconds."""

    def __call__(self, server: Server, timeout: float, address: str) -> IStreamClientEndpoint: ...


@attrs.frozen(kw_only=True)
class Dialer:
    """
    Makes attempts to connect.

    :param client_name: the name that the server's monitoring shows.
    :param credentials: called in each attempt to a server whose URL has no credentials.
    :param require_tls: whether a server without TLS is refused, even if its URL does not ask for TLS.
    :param tls_memory: knows the servers to which nothing is sent in plain text.
    :param message_type: the class of the messages: Msg, or a subclass of it.
    :param endpoint_for: makes the endpoint of a server at one of its addresses.
    :param resolve: looks up the IP addresses of a name.
    """

    clock: IReactorTime
    client_name: str
    credentials: CredentialsSource
    tls: Tls
    require_tls: bool
    tls_memory: TlsMemory
    timing: Timing
    inbound_limits: InboundLimits
    message_type: type[Msg]
    endpoint_for: EndpointFor
    resolve: Callable[[str], Deferred[list[str]]]
    _silent: dict[str, str] = attrs.field(factory=dict, init=False)  # by server, the address that failed last

    def attempt(
        self,
        server: Server,
        *,
        on_protocol: Callable[[NatsProtocol], object],
        on_login: Callable[[NatsProtocol], object],
        on_info: Callable[[NatsProtocol, Info], object],
        on_error: Callable[[NatsProtocol, ServerError], object],
    ) -> Attempt:
        """
        Make an attempt to connect to a server; it is not started.

        :param on_protocol: called with the protocol when the server is reached, before its handshake.
        :param on_login: see :class:`~natsroute.client.protocol.NatsProtocol`, as for the other two.
            ``on_info`` and ``on_error`` are called with the protocol too.
        """
        security = Security(
            self.tls,
            self.require_tls or server.secure,
            server.name,
            by_transport=server.web,
            used_tls=self.tls_memory.requires_tls(server),
        )

        def build(credentials: Credentials, on_info_said: Callable[[NatsProtocol], object]) -> NatsProtocol:
            def logs_in(protocol: NatsProtocol) -> None:
                on_info_said(protocol)
                on_login(protocol)

            protocol = NatsProtocol(
                self.clock,
                name=self.client_name,
                version=__version__.public(),
                credentials=credentials,
                security=security,
                timing=self.timing,
                inbound_limits=self.inbound_limits,
                message_type=self.message_type,
                on_login=logs_in,
                on_info=lambda info: on_info(protocol, info),
                on_error=lambda error: on_error(protocol, error),
            )
            protocol.ready.addBoth(self._remember, protocol, server)
            on_protocol(protocol)
            return protocol

        return Attempt(
            self.clock,
            self.timing.connect_timeout,
            credentials=partial(self._credentials_for, server, security),
            resolve=lambda: self.resolve(server.host).addCallback(self._connects, server),
            build=build,
        )

    async def _credentials_for(self, server: Server, security: Security) -> Credentials:
        if server.scheme == "ws" and (security.required or security.used_tls):
            raise TlsError("TLS is required, and a ws:// server has none. Nothing was sent to it")
        if server.credentials is not None:
            return server.credentials
        return await ask_for_credentials(self.credentials)

    def _connects(self, addresses: list[str], server: Server) -> list[Connect]:
        # The address that failed last comes last: its server may say INFO, and then nothing.
        silent = self._silent.get(server.address)
        return [partial(self._connect, server, one) for one in sorted(addresses, key=lambda one: one == silent)]

    def _connect(self, server: Server, address: str, factory: IProtocolFactory) -> Deferred[Any]:
        return self.endpoint_for(server, self.timing.connect_timeout, address).connect(factory)

    def _remember(self, result: object, protocol: NatsProtocol, server: Server) -> Any:
        if protocol.used_tls:
            self.tls_memory.used_tls(server)
        if isinstance(result, Failure):
            self._silent[server.address] = protocol.transport.getPeer().host
        else:
            self._silent.pop(server.address, None)
        return result
