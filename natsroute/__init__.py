"""
natsroute: Kamailio's NATS module as a Twisted service.

A program needs little of it::

    from natsroute import EventRoutes

    event_route = EventRoutes()

    @event_route("nats:Kamailio-World")
    async def dialog(event):
        await event.publish("presence.dialog", event.data)

All errors are in :mod:`natsroute.errors`.
"""

from natsroute._version import __version__ as _incremental
from natsroute.daemon.service import NatsrouteService
from natsroute.daemon.settings import Settings
from natsroute.routes.event import Event
from natsroute.routes.table import EventRoutes

#: The version, as ``26.11.0``.
__version__: str = _incremental.public()

__all__ = ["Event", "EventRoutes", "NatsrouteService", "Settings", "__version__"]
