"""Which function runs for a message or a connection event: the event routes, or the event callback instead of them."""

from __future__ import annotations

from natsroute.daemon.loading import load_callback, load_routes
from natsroute.daemon.queue_entry import QueueEntry
from natsroute.daemon.settings import Settings
from natsroute.errors import RouteError, SettingError
from natsroute.routes.runner import FindRoute
from natsroute.routes.table import PREFIX, EventRoutes, Route, RouteTable


class Routing:
    """
    What the settings and the program say about routes, joined.

    :raises SettingError: a file or the callback cannot be loaded, or two routes have the same name.
    """

    def __init__(self, settings: Settings, event_routes: EventRoutes | None) -> None:
        own = [] if event_routes is None else [event_routes]
        self._callback = load_callback(settings.event_callback) if settings.event_callback else None
        if self._callback is not None and own:
            raise SettingError(
                "event_callback", settings.event_callback, "it runs instead of event routes", "Leave one of them out"
            )
        try:
            self._table = RouteTable(EventRoutes.merged([*own, load_routes(settings.event_routes)]))
        except RouteError as error:
            raise SettingError(
                "event_routes", ", ".join(settings.event_routes), str(error), "A route may stand in one place only"
            ) from None

    def for_entry(self, entry: QueueEntry) -> FindRoute:
        """Finds the route of a message of this entry."""
        if self._callback is None:
            return self._table.find
        # Kamailio names a callback's event by the configured subject, whatever the message's own is.
        route = Route(PREFIX + entry.subject, self._callback)
        return lambda subject: route

    def for_connections(self, name: str) -> Route | None:
        """Finds the route of ``nats:connected`` or ``nats:disconnected``; a wildcard does not match these."""
        return self._table.get(name) if self._callback is None else Route(name, self._callback)

    def names(self, entry: QueueEntry) -> list[str]:
        """What the log says of an entry's routes."""
        if self._callback is not None:
            return ["the event_callback"]
        routes = [route.name for route in self._table.for_subscription(entry.subject)]
        return [*routes[:10], *([f"and {len(routes) - 10} more"] if len(routes) > 10 else [])]
