"""
natsroute: Kamailio's NATS module as a Twisted service.

Most programs need one name::

    from natsroute import EventRoutes

    event_route = EventRoutes()

    @event_route("nats:Kamailio-World")
    async def dialog(event):
        await event.publish("presence.dialog", event.data)

Errors are in :mod:`natsroute.errors` and :mod:`natsroute.jetstream.errors`. Streams and consumers are in
:mod:`natsroute.jetstream.management`, the configuration and the entries of buckets in
:mod:`natsroute.jetstream.key_value`. Middleware is in :mod:`natsroute.middleware`, what a running Kamailio does for us
in :mod:`natsroute.kamailio.transactions` and :mod:`natsroute.kamailio.pua_json`, and what tests need in
:mod:`natsroute.testing`. What is in none of these may change in any release.
"""

from natsroute._version import __version__ as _incremental
from natsroute.client.auth import Credentials
from natsroute.daemon.service import NatsrouteService
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import Reject
from natsroute.monitoring.log_observer import log_observer
from natsroute.routes.endpoint import Endpoint
from natsroute.routes.event import Event
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.hooks import RunningService
from natsroute.routes.key_value_event import KeyValueEvent

#: The version, as ``26.11.0``.
__version__: str = _incremental.public()

__all__ = [
    "Credentials",
    "Endpoint",
    "Event",
    "EventRoutes",
    "KeyValueEvent",
    "NatsrouteService",
    "Reject",
    "RunningService",
    "Settings",
    "__version__",
    "log_observer",
]
