"""
Acknowledging the messages of a JetStream consumer around the calls of its event routes.

The server keeps each message until it is acknowledged. A call that succeeds acknowledges its message; one that fails
gives it back with a wait, and the server delivers it again then, to this process or another. So retries outlive a
restart. The message of a call that failed for the last time is terminated, after its dead letter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import get_ident
from typing import Any
from typing import Protocol as Interface

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from natsroute.errors import ConnectionLostError, MisuseError, Reject, RequestError
from natsroute.log import Logger
from natsroute.routes.ack_policy import AckPolicy, DeliveryRules
from natsroute.routes.event import Event, RouteFunction
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.results import PLAIN_TYPES, as_deferred
from natsroute.routes.route_errors import HandedBackError, describe, is_exit
from natsroute.routes.stream_message import StreamMessage
from natsroute.wire.ack_subject import parse_ack_subject

#: Seconds until a message comes again that no route matches.
LONG_WAIT = 30.0
#: Seconds that the server may take to confirm an acknowledgement, and how often it is asked.
CONFIRM_TIMEOUT = 5.0
CONFIRM_ATTEMPTS = 3


class Acks(Interface):
    """Writes acknowledgements; see :class:`natsroute.jetstream.consuming.acks.Acks`. Called in the reactor thread."""

    def ack(self, reply_to: bytes) -> None:
        """Write ``+ACK``."""

    def nak(self, reply_to: bytes, delay: float | None = None) -> None:
        """Write ``-NAK``."""

    def in_progress(self, reply_to: bytes) -> None:
        """Write ``+WPI``."""

    def term(self, reply_to: bytes, reason: str = "") -> None:
        """Write ``+TERM``."""

    def ack_confirmed(self, reply_to: bytes, timeout: float) -> Deferred[None]:
        """Write ``+ACK``, and wait for the server's answer."""


class StreamConsumer:
    """
    Acknowledges for all routes of one JetStream consumer.

    :param rules: returns what the consumer's configuration says now.
    :param call_from_thread: the reactor's ``callFromThread``.

    :ivar acks: writes the acknowledgements.
    :ivar in_flight: the calls that have not ended.
    :cvar is_replay: whether the stream is only read, and nothing is acknowledged.
    """

    is_replay = False

    def __init__(
        self,
        acks: Acks,
        rules: Callable[[], DeliveryRules],
        in_flight: CallsInFlight,
        call_from_thread: Callable[..., object],
    ) -> None:
        self.acks = acks
        self.in_flight = in_flight
        self.rules = rules
        self._thread = get_ident()
        self._call_from_thread = call_from_thread

    def start(self) -> None:
        """The reactor runs in the current thread. Before this is called, it is the one that made this object."""
        self._thread = get_ident()

    def for_route(self, policy: AckPolicy) -> RouteAcknowledgement:
        """What acknowledges the messages of a route."""
        return RouteAcknowledgement(self, policy)

    def unrouted(self, event: Event) -> None:
        """Give a message back that no route matches: it must not get lost, and not come again at once."""
        assert event.reply_to is not None
        delivery = parse_ack_subject(event.reply_to)  # the event has no route, so it has no context that tells
        delivered = 1 if delivery is None else delivery.delivered
        self.acks.nak(event.reply_to, self.rules().nak_delay(LONG_WAIT, delivered))

    def hand_back(self, event: Event) -> None:
        """Give a message back at once that no call has begun for, so that another process gets it."""
        assert event.reply_to is not None
        self.acks.nak(event.reply_to)

    def write(self, method: Callable[..., None], *arguments: Any) -> None:
        """Call a method of :attr:`acks` in the reactor's thread: now, or soon if this is another one."""
        if get_ident() == self._thread:
            method(*arguments)
        else:
            self._call_from_thread(method, *arguments)


class RouteAcknowledgement:
    """
    Acknowledges the messages of one route of a JetStream consumer.

    :ivar consumer: the consumer.
    :ivar policy: when the route acknowledges.
    :ivar redelivers: whether the server delivers a message again after its call has failed.
    """

    log = Logger()

    def __init__(self, consumer: StreamConsumer, policy: AckPolicy) -> None:
        self.consumer = consumer
        self.policy = policy
        self.redelivers = policy != "before"
        self._acks = consumer.acks
        self._in_flight = consumer.in_flight
        # What middleware has decided about a failed call: seconds until the next one, or None if there is to be none.
        self._decided: dict[StreamMessage, float | None] = {}

    # -- around the call of a route -----------------------------------------------------------------------------------

    def around(self, function: RouteFunction) -> RouteFunction:
        """Middleware that acknowledges as the policy says. It goes around all other middleware of the route."""
        if self.policy == "before":
            return self._before(function)
        if self.policy == "after":
            return self._after(function)
        return self._after_then(function, self._confirm if self.policy == "double" else self._leave)

    def _before(self, function: RouteFunction) -> RouteFunction:
        ack = self._acks.ack

        def acknowledged(event: Event) -> object:
            ack(event.reply_to)  # type: ignore[arg-type]  # every message of a stream has an ack subject
            return function(event)

        return acknowledged

    def _after(self, function: RouteFunction) -> RouteFunction:
        ack: Callable[[Any], None] = self._acks.ack
        context, decided = self._in_flight.context, self._decided
        ended, failed = self._ended, self._failed

        def acknowledged(event: Event) -> object:
            try:
                result = function(event)
            except BaseException as error:  # without raiseException(), whose frame refers to the Failure
                if self.failed(event, Failure()):
                    raise HandedBackError(error) from error
                raise
            if result is not None and type(result) not in PLAIN_TYPES:
                ending = result if type(result) is Deferred else as_deferred(result, context.copy())
                if ending is not None:
                    return ending.addCallbacks(ended, failed, callbackArgs=(event,), errbackArgs=(event,))
            if decided:  # middleware outside of retry() has dealt with the failure
                decided.pop(event, None)
            ack(event.reply_to)
            return result

        return acknowledged

    def _ended(self, result: object, event: Event) -> object:
        self._decided.pop(event, None)
        self._acks.ack(event.reply_to)  # type: ignore[arg-type]
        return result

    def _after_then(self, function: RouteFunction, end: Callable[[Event], Deferred[None] | None]) -> RouteFunction:
        """Do something else than to acknowledge after a call that succeeded."""
        context, failed = self._in_flight.context, self._failed

        def ended(_: object, event: Event) -> Deferred[None] | None:
            self._decided.pop(event, None)
            return end(event)

        def called(event: Event) -> object:
            try:
                ending = as_deferred(function(event), context.copy())
            except BaseException as error:  # without raiseException(), whose frame refers to the Failure
                if self.failed(event, Failure()):
                    raise HandedBackError(error) from error
                raise
            if ending is None:
                return ended(None, event)
            return ending.addCallbacks(ended, failed, callbackArgs=(event,), errbackArgs=(event,))

        return called

    def _leave(self, event: Event) -> None:
        """The route acknowledges itself, now or later."""

    def _confirm(self, event: Event) -> Deferred[None]:
        return Deferred.fromCoroutine(self._confirmed(event))

    async def _confirmed(self, event: Event) -> None:
        assert event.reply_to is not None
        for attempt in range(1, CONFIRM_ATTEMPTS + 1):
            try:
                await self._acks.ack_confirmed(event.reply_to, CONFIRM_TIMEOUT)
            except (RequestError, ConnectionLostError):
                if attempt == CONFIRM_ATTEMPTS:
                    raise
            else:
                return

    def _failed(self, failure: Failure, event: Event) -> Failure:
        """What a call that failed ends with."""
        error = failure.value
        return Failure(HandedBackError(error)) if error is not None and self.failed(event, failure) else failure

    def succeeded(self, event: Event) -> None:
        """Acknowledge the message of a call that succeeded."""
        self._acks.ack(event.reply_to)  # type: ignore[arg-type]

    def failed(self, event: Event, failure: Failure) -> bool:
        """
        Acknowledge the message of a call that failed, or give it back.

        :return: whether it comes again. Then the failure is in the log, and is not to be counted as one.
        """
        decided = event in self._decided
        wait = self._decided.pop(event, None)
        error, reply_to = failure.value, event.reply_to
        assert error is not None
        assert reply_to is not None
        if event.acknowledged == "nak":
            self._in_flight.failures.add(event, failure)
            return True
        if event.acknowledged is not None:
            return False
        if is_exit(error):
            if self.policy != "manual":
                self._acks.ack(reply_to)
            return False
        if failure.check(CancelledError, asyncio.CancelledError) and self.was_cancelled(event):
            self._acks.nak(reply_to)
            return True
        if not decided:
            wait = self._wait_after(event, error)
        if wait is None:
            self._acks.term(reply_to, error.reason if isinstance(error, Reject) else describe(error))
            return False
        self._acks.nak(reply_to, self.consumer.rules().nak_delay(wait, event.delivered or 1))
        if decided:  # the middleware has logged and counted it
            return not self.is_last_delivery(event)  # or the message stays in the stream
        event.counters.retried += 1
        self._in_flight.failures.add(event, failure)
        return True

    def _wait_after(self, event: StreamMessage, error: BaseException) -> float | None:
        """Seconds until the next delivery after a failed call, if no middleware decides; None: there is none."""
        if isinstance(error, Reject) or self.is_last_delivery(event):
            return None
        return self.consumer.rules().wait_after(event.delivered or 1)

    # -- for middleware -----------------------------------------------------------------------------------------------

    def was_cancelled(self, msg: StreamMessage) -> bool:
        """Whether its call was cancelled by the stop of the service, or by a reload."""
        in_flight = self._in_flight
        return in_flight.stopped or any(call.cancelled and call.event is msg for call in in_flight.running)

    def is_last_delivery(self, msg: StreamMessage) -> bool:
        """Whether the server does not deliver it again, whatever becomes of this call."""
        return self.consumer.rules().is_last(msg.delivered or 1)

    def retry_in(self, msg: StreamMessage, seconds: float) -> None:
        """Its call has failed: let the server deliver it again after this time."""
        self._decided[msg] = seconds

    def give_up(self, msg: StreamMessage) -> None:
        """Its call has failed, and no other one is to follow."""
        self._decided[msg] = None

    def comes_again(self, msg: StreamMessage, error: BaseException) -> bool:
        """Whether the server delivers it again after its call has failed with this error."""
        if not self.redelivers:
            return False
        if msg.acknowledged is not None:
            return msg.acknowledged == "nak"
        if msg in self._decided:
            return self._decided[msg] is not None
        return self._wait_after(msg, error) is not None

    # -- for routes that acknowledge themselves -----------------------------------------------------------------------

    def ack(self, msg: StreamMessage) -> None:
        """See :meth:`StreamMessage.ack`."""
        self._acknowledge(msg, "ack", self._acks.ack)

    def nak(self, msg: StreamMessage, delay: float | None) -> None:
        """See :meth:`StreamMessage.nak`."""
        if delay is not None:
            if not isinstance(delay, (int, float)) or not 0 <= delay < float("inf"):
                raise MisuseError(f"event.nak({delay!r}): the delay must be a number of seconds of at least 0")
            delay = self.consumer.rules().nak_delay(delay, msg.delivered or 1)
        self._acknowledge(msg, "nak", self._acks.nak, delay)

    def term(self, msg: StreamMessage, reason: str) -> None:
        """See :meth:`StreamMessage.term`."""
        self._acknowledge(msg, "term", self._acks.term, reason)

    def in_progress(self, msg: StreamMessage) -> None:
        """See :meth:`StreamMessage.in_progress`."""
        self.consumer.write(self._acks.in_progress, msg.reply_to)

    def _acknowledge(self, msg: StreamMessage, how: str, method: Callable[..., None], *arguments: Any) -> None:
        if self.policy != "manual":
            raise MisuseError(f"event.{how}(): natsroute acknowledges the messages of this route. Give it ack='manual'")
        if msg.acknowledged is not None:
            raise MisuseError(f"event.{how}(): the message was acknowledged already, with event.{msg.acknowledged}()")
        msg.acknowledged = how
        self.consumer.write(method, msg.reply_to, *arguments)
