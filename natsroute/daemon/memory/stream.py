"""A consumer of a stream without a server: its messages run their routes, and what is acknowledged is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute.jetstream.checks import check_name
from natsroute.routes.ack_policy import DeliveryRules
from natsroute.routes.acknowledging import RouteAcknowledgement, StreamConsumer
from natsroute.routes.event import Event, RouteFunction
from natsroute.routes.failure_log import FailureLog
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.results import call_deferred
from natsroute.routes.route import Route
from natsroute.routes.route_errors import HandedBackError
from natsroute.wire.ack_subject import parse_ack_subject

_NANOSECONDS = 1_000_000_000


@attrs.frozen
class Acknowledged:
    """
    What a consumer of a stream was told about a message.

    :ivar how: ``ack``; ``nak``: deliver it again; ``term``: never again; or ``in_progress``.
    :ivar sequence: the message's sequence in the stream.
    :ivar delay: of a ``nak``, seconds until the next delivery; None: at once.
    :ivar reason: of a ``term``, why.
    """

    how: str
    sequence: int = 1
    delay: float | None = None
    reason: str = ""


class MemoryStream:
    """
    Runs routes for messages of a stream.

    :param clock: the clock of the test.
    :param on_acknowledged: called with each acknowledgement.
    """

    def __init__(self, clock: IReactorTime, on_acknowledged: Callable[[Acknowledged], object]) -> None:
        self._clock = clock
        self._on_acknowledged = on_acknowledged
        self._in_flight = CallsInFlight(clock)
        self._in_flight.failures = _NoLog(clock)

    def acknowledgement(self, route: Route, max_deliver: int) -> RouteAcknowledgement:
        """What acknowledges a message of a route."""
        rules = DeliveryRules(max_deliver=max_deliver)
        consumer = StreamConsumer(
            _Acks(self._on_acknowledged), lambda: rules, self._in_flight, lambda call, *arguments: call(*arguments)
        )
        return consumer.for_route(route.ack)

    def ack_subject(self, stream: str, consumer: str, sequence: int, delivered: int) -> bytes:
        """
        The ack subject of a message.

        :raises SubjectError: one of them is no name of a stream or consumer.
        """
        stored = round(self._clock.seconds() * _NANOSECONDS)
        names = f"{check_name(stream)}.{check_name(consumer)}"
        return f"$JS.ACK.{names}.{delivered}.{sequence}.{sequence}.{stored}.0".encode()

    def call(self, function: RouteFunction, event: Event) -> Deferred[object]:
        """
        Call the function of a route.

        :return: fires with its result, or fails with its error. Cancelling it cancels the call, as a stop does.
        """
        acknowledgement = event.acknowledgement
        assert isinstance(acknowledgement, RouteAcknowledgement)

        def cancel(_: object) -> None:
            call.cancelled = True
            ended.cancel()

        ended = call_deferred(acknowledgement.around(function), event)
        result: Deferred[object] = Deferred(cancel)
        call = self._in_flight.new_call(event, ended)
        self._in_flight.running[call] = None

        def end(value: object) -> None:
            self._in_flight.running.pop(call, None)
            if isinstance(value, Failure) and isinstance(value.value, HandedBackError):
                value = Failure(value.value.error)
            result.callback(value)

        ended.addBoth(end)
        return result


class _NoLog(FailureLog):
    """The test gets the failure itself."""

    def add(self, event: Event, failure: Failure) -> None:
        """Do nothing."""


class _Acks:
    """Tells of each acknowledgement. The server confirms all."""

    def __init__(self, on_acknowledged: Callable[[Acknowledged], object]) -> None:
        self._on_acknowledged = on_acknowledged

    def _add(self, reply_to: bytes, how: str, **about: Any) -> None:
        delivery = parse_ack_subject(reply_to)
        assert delivery is not None
        self._on_acknowledged(Acknowledged(how, delivery.sequence, **about))

    def ack(self, reply_to: bytes) -> None:
        """Keep it; so do the others."""
        self._add(reply_to, "ack")

    def nak(self, reply_to: bytes, delay: float | None = None) -> None:
        """See above."""
        self._add(reply_to, "nak", delay=delay)

    def in_progress(self, reply_to: bytes) -> None:
        """See above."""
        self._add(reply_to, "in_progress")

    def term(self, reply_to: bytes, reason: str = "") -> None:
        """See above."""
        self._add(reply_to, "term", reason=reason)

    def ack_confirmed(self, reply_to: bytes, timeout: float) -> Deferred[None]:
        """See above."""
        self._add(reply_to, "ack")
        return succeed(None)
