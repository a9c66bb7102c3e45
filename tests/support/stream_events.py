"""Events of a JetStream consumer, without a server: acknowledgements are written down."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from natsroute import Event
from natsroute.wire.frames import Address


class MemoryAcks:
    """
    Writes down the acknowledgements of a consumer.

    :ivar written: what was acknowledged: the sequence of the message in the stream, how, and with what.
    :ivar confirmations: what the next ones of :meth:`ack_confirmed` return; without them, they are confirmed.
    """

    def __init__(self) -> None:
        self.written: list[tuple[Any, ...]] = []
        self.confirmations: list[Deferred[None]] = []

    def _add(self, reply_to: bytes, *how: Any) -> None:
        self.written.append((int(reply_to.split(b".")[5]), *how))

    def ack(self, reply_to: bytes) -> None:
        self._add(reply_to, "ack")

    def nak(self, reply_to: bytes, delay: float | None = None) -> None:
        self._add(reply_to, "nak", delay)

    def in_progress(self, reply_to: bytes) -> None:
        self._add(reply_to, "in progress")

    def term(self, reply_to: bytes, reason: str = "") -> None:
        self._add(reply_to, "term", reason)

    def ack_confirmed(self, reply_to: bytes, timeout: float) -> Deferred[None]:
        self._add(reply_to, "ack confirmed", timeout)
        return self.confirmations.pop(0) if self.confirmations else succeed(None)


def ack_subject(sequence: int = 1, delivered: int = 1) -> bytes:
    """Where a message of the consumer ``billing`` of the stream ``CALLS`` is acknowledged."""
    return b"$JS.ACK.CALLS.billing.%d.%d.7.1795726800000000000.0" % (delivered, sequence)


def stream_event(subject: str = "calls.a", data: bytes = b"", *, sequence: int = 1, delivered: int = 1) -> Event:
    """An event of that consumer, as the parser makes it."""
    return Event(Address(subject, 1), data, b"", ack_subject(sequence, delivered))
