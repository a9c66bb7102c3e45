"""Expressions evaluated on events that no server has sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables, ServiceVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.values import Value
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, EventContext
from natsroute.wire.frames import Address
from natsroute.wire.headers import HeaderValues, encode_headers


def _publish(*arguments: object, **named: object) -> Deferred[None]:
    raise AssertionError("nothing publishes here")


def make_event(
    payload: bytes = b"",
    *,
    subject: str = "Kamailio-World",
    headers: HeaderValues | None = None,
    reply: bytes | None = None,
    queue_group: str | None = "2021",
) -> Event:
    """An event of a message; with an empty subject, of a connection."""
    context = EventContext(_publish, Clock(), RouteCounters("nats:Kamailio-World"), queue_group)
    return Event.of_message(context, Address(subject, 1), payload, encode_headers(headers) if headers else b"", reply)


def make_evaluation(
    payload: bytes = b"",
    *,
    consumer: ConsumerVariables | None = None,
    service: ServiceVariables | None = None,
    assignments: Mapping[str, Value] | None = None,
    **event: Any,
) -> Evaluation:
    """The evaluation of such an event, with some variables set."""
    evaluation = Evaluation(make_event(payload, **event), EventVariables(consumer or ConsumerVariables(service)))
    for variable, value in (assignments or {}).items():
        compile_expression(variable).assign(evaluation, value)
    return evaluation


def evaluate(text: str, payload: bytes = b"", **how: Any) -> Value:
    """The value of an expression; the other arguments are those of :func:`make_evaluation`."""
    return compile_expression(text).value(make_evaluation(payload, **how))
