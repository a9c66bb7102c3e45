"""Options of a connection: its timeouts, how secure it must be, and how much a server may send at once."""

from __future__ import annotations

import attrs

from natsroute.client.transport.tls import Tls
from natsroute.wire.parser import DEFAULT_MAX_CONTROL_LINE, DEFAULT_MAX_INBOUND_PAYLOAD


@attrs.frozen
class Timing:
    """
    The timeouts of a connection, in seconds.

    :ivar connect_timeout: for one attempt to connect: credentials, name resolution, TCP, WebSocket, TLS and the NATS
        handshake together.
    :ivar ping_interval: between two PINGs of ours.
    :ivar max_pings_outstanding: how many PINGs may be unanswered; with one more the connection is given up.
    :ivar write_timeout: for data that the socket does not take. The connection is given up if none of it is sent in
        that time.
    """

    connect_timeout: float = 2.0
    ping_interval: float = 120.0
    max_pings_outstanding: int = 2
    write_timeout: float = 60.0


@attrs.frozen
class Security:
    """
    How the connection to one server is secured.

    :ivar required: whether a server without TLS is refused. A server that requires TLS always gets it.
    :ivar name: the host name or address that the server's certificate must be for.
    :ivar by_transport: whether the transport decides about TLS, as with WebSocket; the handshake then never starts it.
    :ivar used_tls: whether the server has used TLS before, or was named by one that has. Then nothing is sent to it in
        plain text. Unlike ``required`` this does not make TLS begin before INFO.
    """

    tls: Tls = Tls()
    required: bool = False
    name: str = ""
    by_transport: bool = False
    used_tls: bool = False


@attrs.frozen
class InboundLimits:
    """
    How much a server may send at once. The connection is closed if it sends more.

    :ivar control_line: bytes of a line.
    :ivar payload: bytes of a payload, and of a header block. The ``max_payload`` of the server limits what we publish,
        and not what it sends: other servers of its cluster may accept more.
    """

    control_line: int = DEFAULT_MAX_CONTROL_LINE
    payload: int = DEFAULT_MAX_INBOUND_PAYLOAD
