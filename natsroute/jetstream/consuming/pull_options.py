"""What a consumer asks for with each pull."""

from __future__ import annotations

import json
from typing import Any

import attrs

#: Seconds. In a cluster whose nodes are killed, a new leader does not know every pull of the last one, and says nothing
#: then. Only missing heartbeats show that; they should not take long.
MAX_HEARTBEAT = 3.0

_NANOSECONDS = 1_000_000_000


@attrs.frozen
class PullOptions:
    """
    What is asked for with each pull (the server's ``JSApiConsumerGetNextRequest``).

    :ivar batch: messages that are asked for, and not acknowledged by their routes yet, at most. The next pull is sent
        when half of them have come.
    :ivar max_bytes: bytes that one pull may bring.
    :ivar expires: seconds after which the server ends a pull that could not be filled.
    :ivar group: the priority group, if the consumer has any (NATS ADR-42).
    :ivar min_pending: in an overflow group: pull only while so many messages wait in the stream. 0: always.
    :ivar min_ack_pending: in an overflow group: pull only while so many messages are not acknowledged. 0: always.
    :ivar priority: in a prioritized group: 0 to 9; lower numbers get messages first.
    """

    batch: int = 500
    max_bytes: int = 16 * 1024 * 1024
    expires: float = 30.0
    group: str = ""
    min_pending: int = 0
    min_ack_pending: int = 0
    priority: int = 0

    @property
    def heartbeat(self) -> float:
        """
        Seconds after which the server sends a heartbeat if there is no message. The server accepts up to half of
        :attr:`expires`.
        """
        return min(self.expires / 2, MAX_HEARTBEAT)

    def request(self, batch: int, pin: str = "") -> bytes:
        """
        The payload of a pull.

        :param batch: messages to ask for.
        :param pin: the ID of our pin, if we have it.
        """
        expires = int(self.expires * _NANOSECONDS)
        fields: dict[str, Any] = {
            "batch": batch,
            "max_bytes": self.max_bytes,
            "expires": expires,
            "idle_heartbeat": min(expires // 2, int(MAX_HEARTBEAT * _NANOSECONDS)),
        }
        if self.group:
            optional = {
                "group": self.group,
                "min_pending": self.min_pending,
                "min_ack_pending": self.min_ack_pending,
                "priority": self.priority,
                "id": pin,
            }
            fields |= {name: value for name, value in optional.items() if value}
        return json.dumps(fields, separators=(",", ":")).encode()
