"""What a publisher to streams is given: its limits, and what bounds the messages that it holds."""

from __future__ import annotations

from typing import Any
from typing import Protocol as Interface

import attrs

from natsroute.errors import ConnectionLostError, NatsrouteError, PublishDroppedError
from natsroute.jetstream.publishing.outgoing_message import OutgoingMessage

#: Messages that are in flight at once, to all subjects. A server drops what a stream cannot store fast enough: above
#: 10,000 messages, unless its ``max_buffered_msgs`` says otherwise.
MAX_IN_FLIGHT = 4096

#: The error text for a message that must not wait.
NOT_CONNECTED = "there is no connection to a NATS server, and the policy of the message is 'fail'"


class Buffer(Interface):
    """What the publisher holds: a :class:`natsroute.publishing.buffer.Buffer`."""

    messages: int
    bytes: int
    high_water_messages: int
    high_water_bytes: int
    limits: Any
    is_above: bool

    @property
    def is_exceeded(self) -> bool:
        """Whether the newest message is one too many."""

    @property
    def free(self) -> int:
        """Bytes that fit in."""

    def full_error(self, size: int) -> NatsrouteError:
        """The error for the newest message."""

    def release(self, messages: int, size: int) -> None:
        """Subtract messages."""

    def signal_high_water(self) -> None:
        """Producers are to pause."""

    def signal_low_water(self) -> None:
        """Producers may go on."""


@attrs.frozen
class StreamPublishOptions:
    """
    How messages are published to streams.

    :ivar window: messages to one subject that are in flight at once.
    :ivar ack_timeout: seconds after which a message without an acknowledgement is sent again.
    :ivar max_age: seconds after which a message without an acknowledgement fails; 0: never.
    """

    window: int = MAX_IN_FLIGHT
    ack_timeout: float = 5.0
    max_age: float = 3600.0


def why_refused(buffer: Buffer, message: OutgoingMessage, policy: str, *, is_connected: bool) -> Exception | None:
    """
    Why the newest message cannot be taken; None if it can. Then producers may have to pause, and the policy is noted.

    :param policy: ``"keep"``, ``"fail"`` or ``"drop"``.
    """
    is_above = buffer.messages > buffer.high_water_messages or buffer.bytes > buffer.high_water_bytes
    if is_above and policy == "drop":
        return PublishDroppedError("the buffer of the publisher is more than half full, and the policy is 'drop'")
    if buffer.is_exceeded:
        return buffer.full_error(message.size)
    if policy == "fail":
        if not is_connected:
            return ConnectionLostError(NOT_CONNECTED)
        message.confirmation.resendable = False
    if is_above:
        buffer.signal_high_water()
    return None
