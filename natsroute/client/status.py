"""What a connection reports: each change as it happens, and its status at any time."""

from __future__ import annotations

import attrs

from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent, State
from natsroute.errors import ServerError


@attrs.frozen
class Change:
    """
    A change that the observers of a connection are notified of.

    :ivar event: CONNECTED: a server has accepted the login and all subscriptions. REFUSED: it has accepted the login,
        and refuses a subscription; CONNECTED follows when it accepts that. LAME_DUCK: the server shuts down soon, and
        the connection moves to another one. If the other one takes over before the old one is left, CONNECTED follows
        without DISCONNECTED. DISCONNECTED: there is no connected server any more. CONNECT_FAILED: an attempt failed.
        CLOSED: the connection was stopped; no DISCONNECTED comes before it.
    :ivar server: the server of the change; None for CLOSED.
    :ivar reason: the cause of REFUSED, LAME_DUCK, DISCONNECTED and CONNECT_FAILED; otherwise None.
    """

    event: ConnectionEvent
    server: Server | None = None
    reason: Exception | None = None


@attrs.frozen
class Status:
    """
    The status of a connection at one moment. Totals are counted over all of its servers.

    :ivar state: what it is doing.
    :ivar server: the server that it is connected to, or None.
    :ivar rtt: seconds between the last PING and its PONG, or None.
    :ivar reconnects: how often it has connected again.
    :ivar messages_in: messages received.
    :ivar unclaimed: those of them whose subscription had ended when they arrived. They are dropped.
    :ivar bytes_in: bytes received from the transport (with TLS: decrypted).
    :ivar messages_out: messages published; a message that was sent again counts again.
    :ivar bytes_out: bytes written to the transport (with TLS: before encryption).
    :ivar last_error: the last ``-ERR`` of a server, or None.
    """

    state: State
    server: Server | None
    rtt: float | None
    reconnects: int
    messages_in: int
    unclaimed: int
    bytes_in: int
    messages_out: int
    bytes_out: int
    last_error: ServerError | None
