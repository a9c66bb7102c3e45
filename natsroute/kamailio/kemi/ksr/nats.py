"""``KSR.nats``: publishing."""

from __future__ import annotations

from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction, Run, function, table


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


FUNCTIONS = table(
    KemiFunction("nats.publish", "ss", _new_publish),
    function("nats.publish_request", "sss", _publish_request),
)
