"""What a connection tells of itself."""

from __future__ import annotations

import enum

import attrs

from natsroute.client.servers import Server
from natsroute.errors import ServerError


class State(enum.Enum):
    """What a connection tells its observers."""

    CONNECTED = "connected"
    LAME_DUCK = "leaving"
    DISCONNECTED = "disconnected"
    CONNECT_FAILED = "connect failed"
    CLOSED = "closed"


@attrs.frozen
class Change:
    """
    A change of a connection.

    :ivar state: CONNECTED: the handshake is done and the subscriptions are with the server; LAME_DUCK: the server goes
        away soon, and the connection moves to another; DISCONNECTED: it was connected and is no longer; CONNECT_FAILED:
        an attempt failed; CLOSED: it was stopped, which is no DISCONNECTED.
    :ivar server: the server concerned, None for CLOSED.
    :ivar reason: why, for LAME_DUCK, DISCONNECTED and CONNECT_FAILED.
    """

    state: State
    server: Server | None = None
    reason: Exception | None = None


@attrs.frozen
class Status:
    """
    How a connection is. The totals are of its whole life, over all reconnects.

    :ivar state: what it told last.
    :ivar server: the server that it is connected to, or None.
    :ivar rtt: seconds that the server took to answer its last PING, or None.
    :ivar reconnects: how often it was connected again.
    :ivar messages_in: messages received.
    :ivar bytes_in: bytes received, as they came over the wire (before TLS).
    :ivar messages_out: messages published, those sent again counted again.
    :ivar bytes_out: bytes written, likewise.
    :ivar last_error: the last ``-ERR`` of a server, or None.
    """

    state: State
    server: Server | None
    rtt: float | None
    reconnects: int
    messages_in: int
    bytes_in: int
    messages_out: int
    bytes_out: int
    last_error: ServerError | None
