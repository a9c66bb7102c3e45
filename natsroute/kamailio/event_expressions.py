"""Expressions for programs: what ``event.pv()`` and ``event.format()`` give, and ``event.set_pv()`` assigns to."""

from __future__ import annotations

from natsroute.errors import DecodeError
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables
from natsroute.kamailio.expressions import compile_expression, compile_format
from natsroute.routes.event import Event


class EventExpressions:
    """
    Evaluates expressions for the events of one consumer: a :class:`~natsroute.routes.event.Expressions`.

    :param consumer: the variables of the consumer.
    """

    def __init__(self, consumer: ConsumerVariables) -> None:
        self._consumer = consumer

    def new_variables(self) -> EventVariables:
        """The variables of an event, which keeps them."""
        return EventVariables(self._consumer)

    def pv(self, event: Event, variables: EventVariables, expression: str) -> int | str | None:
        """See :meth:`Event.pv() <natsroute.routes.event.Event.pv>`."""
        value = compile_expression(expression).value(Evaluation(event, variables))
        if value is None:
            return None
        # Of a value that has both a text and a number, Kamailio's own type decides, as it does in KEMI.
        return int(value) if isinstance(value, int) else _decode(value, expression)

    def set_pv(self, event: Event, variables: EventVariables, expression: str, value: int | str | bytes | None) -> None:
        """See :meth:`Event.set_pv() <natsroute.routes.event.Event.set_pv>`."""
        assigned = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        compile_expression(expression).assign(Evaluation(event, variables), assigned)

    def format(self, event: Event, variables: EventVariables, text: str) -> str:
        """See :meth:`Event.format() <natsroute.routes.event.Event.format>`."""
        return _decode(compile_format(text).evaluate(Evaluation(event, variables)), text)


def _decode(value: bytes, expression: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        # Without the bytes: they may be credentials, or a large payload.
        raise DecodeError(
            f"the value of {expression!r} is not UTF-8: byte {error.start} of {len(value)} is invalid"
        ) from None
