"""``KSR.pua_json``."""

from __future__ import annotations

from natsroute.kamailio.evaluation import NOT_JSON
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import Result, function, table


def _publish(context: ScriptContext, payload: bytes) -> Result:
    """Send a payload to a Kamailio for its ``pua_json_publish()``. -1 if it is not JSON, as there."""
    service = context.evaluation.consumer.service
    if context.evaluation.own.document(payload) is NOT_JSON:
        context.failed("pua_json.publish", "the payload is not JSON")
        return -1
    context.outbox.publish(service.pua_json_subject.encode("utf-8", "surrogateescape"), payload)
    return 1


FUNCTIONS = table(function("pua_json.publish", "s", _publish))
