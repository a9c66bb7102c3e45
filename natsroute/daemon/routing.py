"""Which function runs for a message or a connection event: an event route, or the event callback."""

from __future__ import annotations

from natsroute.daemon.loading import load_callback, load_code
from natsroute.daemon.queue_entry import QueueEntry
from natsroute.daemon.settings import Settings
from natsroute.errors import SettingError
from natsroute.kamailio.kemi.script_thread import ScriptThread
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.route import PREFIX, Route
from natsroute.routes.runner import FindRoute
from natsroute.routes.table import RouteTable

_MAX_NAMES = 10


class Routing:
    """
    The event routes of the program and those that the settings name; or the event callback instead of them.

    :param event_routes: the routes of the program, or None.
    :raises SettingError: a file or the callback cannot be loaded, two routes have the same name, or there are both a
        callback and routes.

    :ivar all_names: the names of all routes.
    :ivar hooks: the hooks of the program, and then those of each file.
    :ivar script_functions: the functions for Kamailio scripts in these files.
    """

    def __init__(self, settings: Settings, event_routes: EventRoutes | None) -> None:
        is_function = settings.event_callback and not settings.kemi_script
        self._callback = load_callback(settings.event_callback) if is_function else None
        if settings.event_callback and event_routes is not None:
            problem = "it is called instead of event routes, and the program has event routes"
            raise SettingError("event_callback", settings.event_callback, problem, "Leave one of them out")
        own = [] if event_routes is None else [event_routes]
        code = load_code(settings.event_routes, own)
        routes = code.event_routes
        self.script_functions = code.script_functions
        self.hooks = routes.hooks
        self.all_names = [route.name for route in routes]
        self._table = RouteTable(routes)
        self._script = f"{settings.event_callback} of {settings.kemi_script}" if settings.kemi_script else None

    def for_entry(self, entry: QueueEntry, script: ScriptThread | None = None) -> FindRoute:
        """
        A function that finds the route of a message of this ``subject_queue_group``.

        :param script: the instance of the KEMI script for this consumer, which takes the place of the callback.
        """
        if script is not None:
            script_route = Route(PREFIX + entry.subject, script.call, new_calls=script.calls)
            return lambda subject: script_route
        if self._callback is None:
            return self._table.find
        # Kamailio names the event by the configured subject, whatever the subject of the message.
        route = Route(PREFIX + entry.subject, self._callback)
        return lambda subject: route

    def for_connections(self, script: ScriptThread | None = None) -> FindRoute:
        """
        A function that finds the route of a connection event, as ``nats:connected``. Wildcards do not match these.

        :param script: the instance of the KEMI script for this connection.
        """
        callback = self._callback if script is None else script.call
        if callback is None:
            return self._table.get
        return lambda name: Route(name, callback)

    def names(self, entry: QueueEntry) -> list[str]:
        """The routes that messages of this ``subject_queue_group`` can reach, for the log: at most ten of them."""
        if self._script is not None:
            return [self._script]
        if self._callback is not None:
            return ["the event_callback"]
        routes = [route.name for route in self._table.for_subscription(entry.subject)]
        more = len(routes) - _MAX_NAMES
        return [*routes[:_MAX_NAMES], *([f"and {more} more"] if more > 0 else [])]
