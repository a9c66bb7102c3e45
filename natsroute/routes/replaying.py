"""The messages of a stream that is replayed: they say what the stream knows of them, and nothing is acknowledged."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from natsroute.routes.ack_policy import AckPolicy, DeliveryRules
from natsroute.routes.acknowledging import RouteAcknowledgement, StreamConsumer
from natsroute.routes.event import Event, RouteFunction
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.stream_message import StreamMessage


class _NoAcks:
    """Writes nothing."""

    def ack(self, reply_to: bytes) -> None:
        """See :meth:`natsroute.jetstream.consuming.acks.Acks.ack`."""

    def nak(self, reply_to: bytes, delay: float | None = None) -> None:
        """See :meth:`natsroute.jetstream.consuming.acks.Acks.nak`."""

    def in_progress(self, reply_to: bytes) -> None:
        """See :meth:`natsroute.jetstream.consuming.acks.Acks.in_progress`."""

    def term(self, reply_to: bytes, reason: str = "") -> None:
        """See :meth:`natsroute.jetstream.consuming.acks.Acks.term`."""

    def ack_confirmed(self, reply_to: bytes, timeout: float) -> Deferred[None]:
        """See :meth:`natsroute.jetstream.consuming.acks.Acks.ack_confirmed`."""
        return succeed(None)


class ReplayedStream(StreamConsumer):
    """
    Takes the place of what acknowledges. A route that fails has its retries at once, as with other messages.

    :param in_flight: the calls that have not ended.
    :param call_from_thread: the reactor's ``callFromThread``.
    """

    is_replay = True

    def __init__(self, in_flight: CallsInFlight, call_from_thread: Callable[..., object]) -> None:
        super().__init__(_NoAcks(), DeliveryRules, in_flight, call_from_thread)

    def for_route(self, policy: AckPolicy) -> RouteAcknowledgement:
        """What takes the place of the acknowledgements of a route."""
        return _ReplayedRoute(self, policy)


class _ReplayedRoute(RouteAcknowledgement):
    """The acknowledgements of one route, which go nowhere."""

    def __init__(self, consumer: StreamConsumer, policy: AckPolicy) -> None:
        super().__init__(consumer, policy)
        self.redelivers = False

    def around(self, function: RouteFunction) -> RouteFunction:
        """There is nothing to do before or after a call."""
        return function

    def failed(self, event: Event, failure: Failure) -> bool:
        """A message does not come again."""
        return False

    def comes_again(self, msg: StreamMessage, error: BaseException) -> bool:
        """A message does not come again."""
        return False
