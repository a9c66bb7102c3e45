"""On what terms a server is spoken to: how patient we are, and how secure it must be."""

from __future__ import annotations

import attrs

from natsroute.client.transport.tls import Tls


@attrs.frozen
class Timing:
    """
    How patient a connection is.

    :ivar connect_timeout: seconds for TCP, and again for the handshake.
    :ivar ping_interval: seconds between our pings.
    :ivar max_pings_outstanding: so many unanswered, and the connection is dead.
    :ivar write_timeout: seconds in which what was written must have gone out, if it was more than the socket takes.
    """

    connect_timeout: float = 2.0
    ping_interval: float = 120.0
    max_pings_outstanding: int = 2
    write_timeout: float = 60.0


@attrs.frozen
class Security:
    """
    How one server is spoken to.

    :ivar required: whether a server without TLS is refused; one that requires TLS gets it in any case.
    :ivar name: the name, or address, that its certificate must have.
    :ivar below: whether the transport is secure already, or must stay as it is, as with WebSocket.
    """

    tls: Tls = Tls()
    required: bool = False
    name: str = ""
    below: bool = False
