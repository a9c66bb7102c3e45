"""``pua_json_publish``."""

from __future__ import annotations

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import NOT_JSON, Evaluation
from natsroute.kamailio.script.functions.calls import filled, function, table


def _publish(evaluation: Evaluation, payload: bytes) -> int:
    """
    Send a payload to a Kamailio for its ``pua_json_publish()``.

    As there, the result is -1 if it is not JSON, and 1 otherwise. As with ``nats_publish``, nobody waits for its
    confirmation.
    """
    if evaluation.own.document(payload) is NOT_JSON:
        raise EvaluationError("the payload is not JSON")
    evaluation.event.publish(evaluation.consumer.service.pua_json_subject, payload)
    return 1


FUNCTIONS = table(function("pua_json_publish", _publish, filled))
