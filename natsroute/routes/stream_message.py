"""A message that may come from a JetStream consumer: what the stream says of it, and how a route acknowledges it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Protocol as Interface

from natsroute.errors import MisuseError
from natsroute.message import Message
from natsroute.wire.ack_subject import Delivery, parse_ack_subject

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Acknowledgement(Interface):
    """
    How the messages of one route of a JetStream consumer are acknowledged. See
    :class:`natsroute.routes.acknowledging.RouteAcknowledgement`.

    :ivar redelivers: whether the server delivers a message again after its call has failed.
    """

    redelivers: bool

    def ack(self, msg: StreamMessage) -> None:
        """See :meth:`StreamMessage.ack`."""

    def nak(self, msg: StreamMessage, delay: float | None) -> None:
        """See :meth:`StreamMessage.nak`."""

    def in_progress(self, msg: StreamMessage) -> None:
        """See :meth:`StreamMessage.in_progress`."""

    def term(self, msg: StreamMessage, reason: str) -> None:
        """See :meth:`StreamMessage.term`."""

    def was_cancelled(self, msg: StreamMessage) -> bool:
        """Whether its call was cancelled by the stop of the service, or by a reload."""

    def is_last_delivery(self, msg: StreamMessage) -> bool:
        """Whether the server does not deliver it again, whatever becomes of this call."""

    def retry_in(self, msg: StreamMessage, seconds: float) -> None:
        """Its call has failed: let the server deliver it again after this time."""

    def give_up(self, msg: StreamMessage) -> None:
        """Its call has failed, and no other one is to follow."""

    def comes_again(self, msg: StreamMessage, error: BaseException) -> bool:
        """Whether the server delivers it again after its call has failed with this error."""


class StreamMessage(Message):
    """
    A message that may come from a JetStream consumer. If it does not, what the stream would say of it is None.

    Only the event's context tells: whoever publishes may give a message a reply subject like those of a stream.
    """

    __slots__ = ("_acknowledged", "_delivery")

    _acknowledged: str  # how a route with ack="manual" has acknowledged it; not set before
    _delivery: Delivery | None  # not set before it is first needed

    @property
    def acknowledgement(self) -> Acknowledgement | None:
        """How it is acknowledged; None if it comes from no JetStream consumer. For middleware."""
        raise NotImplementedError

    @property
    def reply(self) -> str | None:
        """
        The subject for answers, or None. Bytes that are not UTF-8 become surrogate escapes. A message of a stream has
        none: there is nobody who waits.
        """
        reply_to = self.reply_to
        if reply_to is None or self.acknowledgement is not None:
            return None
        return reply_to.decode("utf-8", "surrogateescape")

    @property
    def delivery(self) -> Delivery | None:
        """What the stream says of the message, all together."""
        try:
            return self._delivery
        except AttributeError:
            reply_to = self.reply_to
            is_of_stream = reply_to is not None and self.acknowledgement is not None
            self._delivery = parse_ack_subject(reply_to) if is_of_stream else None  # type: ignore[arg-type]
            return self._delivery

    @property
    def stream(self) -> str | None:
        """The name of the stream."""
        delivery = self.delivery
        return None if delivery is None else delivery.stream

    @property
    def consumer(self) -> str | None:
        """The name of the consumer."""
        delivery = self.delivery
        return None if delivery is None else delivery.consumer

    @property
    def sequence(self) -> int | None:
        """The message's sequence in the stream."""
        delivery = self.delivery
        return None if delivery is None else delivery.sequence

    @property
    def delivered(self) -> int | None:
        """How often the consumer has delivered it, this time included."""
        delivery = self.delivery
        return None if delivery is None else delivery.delivered

    @property
    def pending(self) -> int | None:
        """Messages of the stream that the consumer had not delivered yet when it delivered this one."""
        delivery = self.delivery
        return None if delivery is None else delivery.pending

    @property
    def timestamp(self) -> datetime | None:
        """When the stream stored it: UTC, to the microsecond."""
        delivery = self.delivery
        return None if delivery is None else _EPOCH + timedelta(microseconds=delivery.timestamp // 1000)

    @property
    def acknowledged(self) -> str | None:
        """How the route has acknowledged it itself: ``ack``, ``nak`` or ``term``; None if it has not."""
        return getattr(self, "_acknowledged", None)

    @acknowledged.setter
    def acknowledged(self, how: str) -> None:
        self._acknowledged = how

    def ack(self) -> None:
        """
        Acknowledge the message: it is handled, and does not come again. For routes with ``ack="manual"``; others are
        acknowledged by natsroute.

        This and the following may be called in any thread, also after the call of the route has ended. They are written
        at once; nothing confirms them.

        :raises MisuseError: the message comes from no stream, the route has not said ``ack="manual"``, or it has
            acknowledged this delivery already.
        """
        self._required().ack(self)

    def nak(self, delay: float | None = None) -> None:
        """
        Let the message come again. See :meth:`ack`.

        :param delay: seconds until then; None: at once.
        :raises MisuseError: also if the delay is not a number of at least 0.
        """
        self._required().nak(self, delay)

    def term(self, reason: str = "") -> None:
        """
        Let the message not come again although it was not handled. See :meth:`ack`.

        :param reason: is in the server's advisory.
        """
        self._required().term(self, reason)

    def in_progress(self) -> None:
        """
        Let the server wait for another ``ack_wait`` before it delivers the message again. natsroute does so by itself
        while a call runs; this is for what goes on after the call. Unlike :meth:`ack`, any route may call it, and
        often.
        """
        self._required().in_progress(self)

    def _required(self) -> Acknowledgement:
        acknowledgement = self.acknowledgement
        if acknowledgement is None:
            raise MisuseError(f"the message to {self.subject!r} comes from no stream: nothing waits for an answer")
        return acknowledgement
