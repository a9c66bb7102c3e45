"""``KSR.nats``: publishing and asking."""

from __future__ import annotations

from functools import partial

from natsroute.errors import EvaluationError, NatsrouteError
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction, Result, Run, function, table
from natsroute.routes.responding import ERROR_HEADER

#: Milliseconds that a request waits for its answer, if the script says nothing else.
DEFAULT_TIMEOUT = 5000


def _new_publish(context: ScriptContext) -> Run:
    publish = context.outbox.publish

    def publish_message(subject: bytes, payload: bytes) -> int:
        """Publish a message. As in Kamailio, the result is 1 before the message is sent."""
        publish(subject, payload)
        return 1

    return publish_message


def _publish_request(context: ScriptContext, subject: bytes, payload: bytes, reply: bytes) -> int:
    """Publish a message with a subject for answers. An empty one is none."""
    context.outbox.publish(subject, payload, reply)
    return 1


def _request(context: ScriptContext, subject: bytes, payload: bytes, milliseconds: int = DEFAULT_TIMEOUT) -> Result:
    """
    Send a request, and wait for the answer, whose payload is the result.

    It is null if there is no answer, or if the answer is that of a service that failed. The log says why, once for each
    subject.
    """
    name = subject.decode("utf-8", "surrogateescape")
    try:
        answer = context.outbox.ask(partial(context.evaluation.event.request, name, payload, milliseconds / 1000))
        problem = answer.headers.get(ERROR_HEADER) if answer.header_block else None
        if problem is None:
            data: bytes = answer.data
            return data
    except NatsrouteError as error:
        problem = str(error)
    context.evaluation.consumer.service.on_failure(f"KSR.nats.request({name!r})", EvaluationError(problem))
    return None


FUNCTIONS = table(
    KemiFunction("nats.publish", "ss", _new_publish),
    function("nats.publish_request", "sss", _publish_request),
    function("nats.request", "ssi", _request, optional=1),
)
