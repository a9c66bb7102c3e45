"""
natsroute's side of the billing: one bill for each call, by its Call-ID, whatever is killed meanwhile.

Run it beside a Kamailio with ``kamailio.cfg``::

    twistd -n natsroute --jetstream_stream "CALLS=>subjects=calls.*" --jetstream_consumer CALLS:billing \\
        --jetstream_create --event_routes examples/billing/routes.py

The bills are in the bucket ``bills``: ``nats kv get bills KEY``, or ``nats kv watch bills``.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.logger import Logger

from natsroute import Event, EventRoutes, Reject, RunningService
from natsroute.errors import DecodeError
from natsroute.jetstream.errors import KeyExistsError
from natsroute.wire.key_value import check_key

event_route = EventRoutes()
log = Logger()

#: Cents for each minute that has begun.
RATE = 3


def key_of(call_id: str) -> str:
    """A key of the bucket for a Call-ID: what a key may not have becomes ``=`` and the numbers of its bytes."""
    return re.sub(rb"[^A-Za-z0-9_-]", lambda found: b"=%02X" % found[0][0], call_id.encode()).decode("ascii")


def call_id_of(event: Event) -> str:
    """What orders the events: those of one call are handled one after the other."""
    return str(read(event)["call_id"])


def read(event: Event) -> dict[str, Any]:
    """
    The call that has ended.

    :raises Reject: the message is something else. The stream need not deliver it again.
    """
    try:
        call = event.json()
        names = {
            "from": str(call.get("from", "")),
            "to": str(call.get("to", "")),
        }  # Kamailio leaves out what is not UTF-8
        call_id = str(call["call_id"])
        check_key(key_of(call_id))
        return {"call_id": call_id, **names, "seconds": int(call["seconds"])}
    except (DecodeError, AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise Reject(f"not the end of a call: {error}") from None


@event_route.on_start
def create_bucket(service: RunningService) -> None:
    service.key_value("bills", create=True)  # with the first bill, if it is not there


@event_route("nats:calls.ended", key=call_id_of)
async def ended(event: Event) -> None:
    """
    Write the bill for a call, unless there is one.

    ``create`` fails if the key has a value, and the server decides that. So of two processes that bill the same call at
    the same time one succeeds, and a message that comes again after a week still makes no second bill.
    """
    call = read(event)
    minutes = -(-call["seconds"] // 60)
    try:
        await event.key_value("bills").create(key_of(call["call_id"]), {**call, "cents": minutes * RATE})
    except KeyExistsError:
        log.info("call {call_id!r} is billed already", **call)
    # Kamailio publishes the call until it receives this. If this is lost, it publishes the call again.
    await event.publish("calls-billed", call["call_id"])
