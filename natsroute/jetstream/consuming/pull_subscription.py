"""The subscription of a pull consumer: takes statuses apart from messages, and tells when to ask for more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from natsroute.client.subscription import Subscription
from natsroute.errors import DecodeError
from natsroute.wire.ack_subject import Delivery, parse_ack_subject
from natsroute.wire.frames import Msg

#: The header with the ID of the pin.
PIN_ID = b"Nats-Pin-Id"


class PullSubscription(Subscription):
    """
    Hands the messages of a consumer to a receiver, as a :class:`~natsroute.client.subscription.Subscription` does.

    A message without an ack subject is a status. It is neither counted nor pending: it is read when it arrives, also
    while messages wait.

    :param on_status: called with each status.
    :param on_low: called when more than :attr:`ask_above` messages have been received, or :attr:`allowance` is used up,
        and again whenever a message is received or a receiver is ready until one of the two has been raised.

    :ivar ask_above: see above.
    :ivar allowance: bytes of payload that may come before ``on_low`` is called.
    :ivar redelivered: messages that had been delivered before.
    :ivar last: the ack subject of the newest message, or None.
    """

    def __init__(
        self, *args: Any, on_status: Callable[[Msg], object], on_low: Callable[[], object], **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.ask_above = -1
        self.allowance = 0
        self.redelivered = 0
        self.last: bytes | None = None
        self._on_status = on_status
        self._on_low = on_low
        # What the ack subject of a message begins with that is delivered for the first time.
        self._first_delivery = b"\0"

    @property
    def pending_replies(self) -> list[bytes]:
        """The ack subject of each pending message."""
        return [msg.reply_to for msg in self._pending if msg.reply_to is not None]

    @property
    def pending_bytes(self) -> int:
        """Bytes of the messages that wait for the receiver."""
        return self._pending_bytes

    @property
    def reads(self) -> bool:
        """Whether messages are read: reading does not pause because too many are pending."""
        return not self._overflowing

    def deliver(self, msg: Msg) -> None:
        """Take a message or a status from the connection."""
        reply_to = msg.reply_to
        if reply_to is None:
            self._on_status(msg)
            return
        self.received = received = self.received + 1
        self.last = reply_to
        self.allowance = allowance = self.allowance - len(msg.data)
        if not reply_to.startswith(self._first_delivery):
            self._look_at(reply_to)
        # As in the method that this replaces; a call for each message would cost more than what is added here.
        if self.is_direct or not self._took(msg):
            busy = self.hand(msg)
            if busy is not None:
                self._wait_for(busy)
        if received > self.ask_above or allowance < 0:
            self._on_low()

    def release(self) -> None:
        """Undo one :meth:`hold`, and ask for more if the receiver is ready for it."""
        super().release()
        if self.received > self.ask_above or self.allowance < 0:
            self._on_low()

    def _look_at(self, reply_to: bytes) -> None:
        """Learn how the ack subjects of this consumer begin, and count a redelivery."""
        delivery = parse_ack_subject(reply_to)
        if delivery is None:
            return
        if delivery.delivered > 1:
            self.redelivered += 1
        else:
            self._first_delivery = _beginning(reply_to, delivery)


def _beginning(reply_to: bytes, delivery: Delivery) -> bytes:
    """The tokens before the sequence of the message."""
    tokens = reply_to.split(b".")
    end = 5 if len(tokens) < 11 else 7
    return b".".join(tokens[:end]) + b"."


class PinnedSubscription(PullSubscription):
    """
    The same for a priority group: the server gives the client that has the pin its ID with each message (NATS ADR-42).

    :ivar pin: the ID, or "".
    :ivar on_pin: called with a new ID.
    """

    pin = ""
    on_pin: Callable[[str], object]

    def deliver(self, msg: Msg) -> None:
        """Take a message or a status, and read the ID of the pin."""
        if PIN_ID in msg.header_block and msg.reply_to is not None:
            pin = _pin_of(msg)
            if pin and pin != self.pin:
                self.pin = pin
                self.on_pin(pin)
        super().deliver(msg)


def _pin_of(msg: Msg) -> str:
    """The last one, because that is the server's: a publisher may have written a header of this name, too."""
    try:
        values = msg.headers.get_all(PIN_ID.decode())
    except DecodeError:
        return ""
    return values[-1] if values else ""
