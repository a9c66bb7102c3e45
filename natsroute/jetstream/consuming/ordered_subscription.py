"""The subscription of an ordered consumer: takes only the messages that are the next ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from natsroute.client.subscription import Subscription
from natsroute.wire.frames import Msg


class OrderedSubscription(Subscription):
    """
    A :class:`~natsroute.client.subscription.Subscription` that asks of each message whether it is the next one.

    :param is_next: called with each message, and with what the server sends instead.
    :param on_ready: called when a message was taken, or the receiver is ready for more.
    """

    def __init__(
        self, *about: Any, is_next: Callable[[Msg], bool], on_ready: Callable[[], object], **more: Any
    ) -> None:
        super().__init__(*about, **more)
        self._is_next = is_next
        self._on_ready = on_ready

    @property
    def reads(self) -> bool:
        """Whether messages are read: reading does not pause because too many are pending."""
        return not self._overflowing

    def deliver(self, msg: Msg) -> None:
        """Take a message from the connection, if it is the next one."""
        if self._is_next(msg):
            super().deliver(msg)
            self._on_ready()

    def release(self) -> None:
        """See :meth:`natsroute.client.subscription.Subscription.release`."""
        super().release()
        self._on_ready()
