"""How much a worker holds, beside what it may hold: the bounds, and the pressure on those who fill it."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.errors import PublishBufferFullError
from natsroute.publishing.options import PublishLimits


class Buffer:
    """
    Counts what is held. Who takes a message adds to it without asking, since that is on the way of every message.

    :ivar messages: messages held.
    :ivar bytes: their bytes, as far as they are made.
    :ivar half_of_messages: above them, or above :attr:`half_of_bytes`, there is pressure.
    :param on_pressure: called with True when there is pressure, with False when it is down to a quarter.
    """

    __slots__ = ("_limits", "_on_pressure", "_pressed", "bytes", "half_of_bytes", "half_of_messages", "messages")

    def __init__(self, limits: PublishLimits, on_pressure: Callable[[bool], None]) -> None:
        self.messages = self.bytes = 0
        self.half_of_messages = limits.messages // 2
        self.half_of_bytes = limits.bytes // 2
        self._limits = limits
        self._on_pressure = on_pressure
        self._pressed = False

    @property
    def is_exceeded(self) -> bool:
        """Whether the newest message is one too many."""
        return self.messages > self._limits.messages or self.bytes > self._limits.bytes

    def full_without(self, size: int) -> PublishBufferFullError:
        """Why the newest message, of so many bytes, is not taken."""
        return PublishBufferFullError(
            messages=self.messages - 1,
            max_messages=self._limits.messages,
            bytes=self.bytes - size,
            max_bytes=self._limits.bytes,
        )

    def free(self, messages: int, size: int) -> None:
        """So many messages, of so many bytes in all, are gone."""
        self.messages -= messages
        self.bytes -= size

    def press(self) -> None:
        """More than half is taken."""
        if not self._pressed:
            self._pressed = True
            self._on_pressure(True)

    def tell(self) -> None:
        """Tell that there is room again, if there is."""
        if self._pressed and self.messages * 4 <= self._limits.messages and self.bytes * 4 <= self._limits.bytes:
            self._pressed = False
            self._on_pressure(False)
