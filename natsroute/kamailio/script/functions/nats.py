"""``nats_publish``."""

from __future__ import annotations

from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.functions.calls import function, table, text


def _publish(evaluation: Evaluation, subject: bytes, payload: bytes, reply: bytes = b"") -> int:
    """
    Publish a message. As in Kamailio, the result is 1 before the message is sent.

    Nobody waits for its confirmation. A failure is in the log, as for all messages that nobody waits for. An empty
    reply subject is none.
    """
    evaluation.event.publish(
        subject.decode("utf-8", "surrogateescape"),
        payload,
        reply.decode("utf-8", "surrogateescape") if reply else None,
    )
    return 1


FUNCTIONS = table(function("nats_publish", _publish, text, text, text, optional=1))
