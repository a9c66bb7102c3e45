"""
natsroute's side of the location table: a key-value bucket that knows where each user of a SIP registrar is.

Run it beside a Kamailio with ``kamailio.cfg``::

    twistd -n natsroute --jetstream_stream "LOCATION=>subjects=location.*;max_msgs_per_subject=100000" \\
        --jetstream_consumer LOCATION:mirror --jetstream_create --event_routes examples/location/routes.py

Any program can ask the bucket ``location`` then, and the registrar has no work with it:
``nats kv get location alice=40example=2Ecom``.
"""

from __future__ import annotations

import re
import time
from typing import Any

from natsroute import Event, EventRoutes, Reject, RunningService
from natsroute.errors import DecodeError
from natsroute.jetstream.errors import KeyNotFoundError

event_route = EventRoutes()

#: Seconds that the state of a user without contacts is kept. Messages that are older than it may still come.
KEEP_EMPTY = 3600.0


def key_of(user: str) -> str:
    """A key of the bucket for a user: what a key may not have becomes ``=`` and the numbers of its bytes."""
    return re.sub(rb"[^A-Za-z0-9_-]", lambda found: b"=%02X" % found[0][0], user.encode()).decode("ascii")


@event_route.on_start
def create_bucket(service: RunningService) -> None:
    service.key_value("location", create=True)  # with the first user, if it is not there


def state_of(event: Event) -> dict[str, Any]:
    """
    The state of a user.

    :raises Reject: the message is something else. The stream need not deliver it again.
    """
    try:
        state = event.json()
        expires = [int(contact["expires"]) for contact in state["contacts"]]
        return {**state, "user": str(state["user"]), "expires": max(expires, default=None)}
    except (DecodeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise Reject(f"not the state of a user: {error}") from None


@event_route("nats:location.changed", key=lambda event: state_of(event)["user"])
async def changed(event: Event) -> None:
    """
    Write the state of a user, unless the bucket has a newer one.

    A message that comes again comes late: behind one that is newer. So the number that the stream has given to each
    message is kept with the state. ``update`` and ``create`` fail if another process has changed the entry since it was
    read; then the message comes again.
    """
    assert event.sequence is not None  # the message is from a stream
    bucket, state = event.key_value("location"), state_of(event)
    # Each contact has the time when it expires. When the last one has, the server removes the entry.
    expires = state.pop("expires")
    ttl = KEEP_EMPTY if expires is None else max(1.0, expires - time.time())
    key, value = key_of(state["user"]), {**state, "sequence": event.sequence}
    try:
        known = await bucket.get(key)
    except KeyNotFoundError:
        await bucket.create(key, value, ttl=ttl)
        return
    if known.json()["sequence"] < event.sequence:
        await bucket.update(key, value, known.revision, ttl=ttl)
