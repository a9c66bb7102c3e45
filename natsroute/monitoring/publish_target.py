"""Where a traced message is published to."""

from __future__ import annotations

import attrs

from natsroute.wire.frames import MAX_PAYLOAD_LIMIT

#: Host and port of a server, or None without a connection.
Address = tuple[str, int]


@attrs.frozen
class Target:
    """
    Where a message is published to.

    :ivar max_payload: bytes of headers and payload that the server takes.
    :ivar headers: whether the server supports headers.
    :ivar server: its address, or None without a connection.
    """

    max_payload: int = MAX_PAYLOAD_LIMIT
    headers: bool = True
    server: Address | None = None


def unknown_target(subject: str) -> Target:
    """Nothing is known."""
    return Target()


def unknown_server() -> Address | None:
    """Without a connection."""
    return None
