"""
Hand presence back to a running Kamailio.

Kamailio's ``pua_json_publish()`` publishes presence, dialog states and waiting messages to its own ``presence`` module.
Here it publishes the payload to NATS. An event route of a Kamailio calls the real one with it.
docs/kamailio/presence.md has that route.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from natsroute.kamailio.evaluation import EventVariables
from natsroute.routes.event import Event

__all__ = ["pua_json_publish"]


def pua_json_publish(event: Event, payload: object = None) -> Deferred[None]:
    """
    Let Kamailio publish presence: send it a payload for its ``pua_json_publish()``.

    It may be called from any thread, like :meth:`Event.publish() <natsroute.routes.event.Event.publish>`.

    :param event: the event whose route calls it. The subject is the setting ``pua_json_subject`` of its service.
    :param payload: the JSON for Kamailio: bytes, text, or what JSON can express. None: the payload of the event.
    :return: fires in the reactor's thread when the server has the message. Kamailio gives no answer: what it cannot
        publish is in its log.
    """
    variables: EventVariables = event.variables
    return event.publish(variables.consumer.service.pua_json_subject, event.data if payload is None else payload)
