"""What a publish worker holds: its bounds, and the marks at which producers pause and go on."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.errors import PublishBufferFullError
from natsroute.hot import Tray
from natsroute.publishing.batches import MAX_BATCH, Messages, ServerLimits
from natsroute.publishing.options import PublishLimits
from natsroute.wire.frames import MAX_PAYLOAD_LIMIT


class Buffer(Tray):
    """
    Counts the messages that a worker holds, and their bytes. A payload that is not serialised yet counts 0 bytes, its
    headers do. The high-water marks are half of the bounds.

    No other class writes the counters, with three exceptions: :meth:`natsroute.hot.pure.Sender.publish` and
    :meth:`PublishWorker.add` add to them, and :meth:`Outcomes.confirm` subtracts from them, because a method call
    for each message is too expensive there.

    :ivar limits: the bounds.
    :ivar is_above: whether ``on_high_water`` was called, and ``on_low_water`` not yet.
    :param on_high_water: see :meth:`signal_high_water`.
    :param on_low_water: see :meth:`signal_low_water`.
    """

    __slots__ = ("_gathered", "_on_high_water", "_on_low_water", "is_above", "limits")

    def __init__(
        self, limits: PublishLimits, on_high_water: Callable[[], None], on_low_water: Callable[[], None]
    ) -> None:
        super().__init__(limits.messages // 2, limits.bytes // 2)
        self.limits = limits
        self._on_high_water = on_high_water
        self._on_low_water = on_low_water
        self.is_above = False
        self.max_payload = MAX_PAYLOAD_LIMIT  # until a server announces its own
        self.gather(Messages())

    def gather(self, messages: Messages) -> None:
        """Let messages be added to these from now on."""
        self.close_block()
        self.confirmations, self.commands = messages.confirmations, messages.commands
        self._gathered = messages

    def open(self) -> None:
        """Let plain messages be added as they come, until there are as many as are written together."""
        self.is_open = True
        self.batch_ends_at = min(self.high_water_messages, self.messages + MAX_BATCH - len(self.confirmations))

    @property
    def gathered(self) -> Messages:
        """The messages that others are added to."""
        self.close_block()
        return self._gathered

    @property
    def server_limits(self) -> ServerLimits:
        """What the server takes, or the last one without a connection."""
        return ServerLimits(self.max_payload, self.takes_headers)

    @server_limits.setter
    def server_limits(self, limits: ServerLimits) -> None:
        self.max_payload, self.takes_headers = limits.max_payload, limits.headers

    @property
    def is_exceeded(self) -> bool:
        """Whether the newest message is one too many."""
        return self.messages > self.limits.messages or self.bytes > self.limits.bytes

    @property
    def free(self) -> int:
        """Bytes that fit in; negative if there are too many already."""
        return self.limits.bytes - self.bytes

    def full_error(self, size: int) -> PublishBufferFullError:
        """
        The error for the newest message, which does not fit.

        :param size: bytes of its command.
        """
        return PublishBufferFullError(
            messages=self.messages - 1,
            max_messages=self.limits.messages,
            bytes=self.bytes - size,
            max_bytes=self.limits.bytes,
        )

    def grow(self, size: int) -> None:
        """Count the bytes of messages that are held already, once their payloads are serialised."""
        self.bytes += size

    def release(self, messages: int, size: int) -> None:
        """Subtract messages that were confirmed, failed or dropped, and the bytes that were counted for them."""
        self.messages -= messages
        self.batch_ends_at -= messages
        self.bytes -= size

    def signal_high_water(self) -> None:
        """Call ``on_high_water``, once until the low-water mark is reached."""
        if not self.is_above:
            self.is_above = True
            self._on_high_water()

    def signal_low_water(self) -> None:
        """Call ``on_low_water`` if producers pause and both counters are down to a quarter of their bounds."""
        if self.is_above and self.messages * 4 <= self.limits.messages and self.bytes * 4 <= self.limits.bytes:
            self.is_above = False
            self._on_low_water()
