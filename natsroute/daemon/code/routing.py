"""Which function runs for a message or a connection event: an event route, or the event callback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from natsroute.daemon.code.loading import load_callback, load_code
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.jetstream_entries import AnyEntry
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import RouteError, SettingError
from natsroute.kamailio.cfg.document import KamailioCfg
from natsroute.kamailio.kemi.script_thread import ScriptThread
from natsroute.kamailio.script.compiler import CompiledScript, compile_script
from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.script.functions.python import definitions
from natsroute.kamailio.script.initialization import Initialization
from natsroute.kamailio.user_functions import ScriptFunction
from natsroute.routes.event_routes import EventRoutes
from natsroute.routes.route import PREFIX, CallInThread, Route
from natsroute.routes.runner import FindRoute
from natsroute.routes.signatures import name_of
from natsroute.routes.table import RouteTable
from natsroute.wire.key_value import key_of, subject_of
from natsroute.wire.subjects import intersection, is_wildcard

_MAX_NAMES = 10


class Routing:
    """
    The event routes of the program, those that the settings name, and those of a ``kamailio.cfg``. The callback of a
    KEMI script runs where there is no event route, as in Kamailio. A function in Python that is the callback runs where
    the ``kamailio.cfg`` has none; there are no event routes in Python then.

    :param event_routes: the routes of the program, or None.
    :param call_in_thread: runs functions of scripts that block.
    :raises SettingError: a file or the callback cannot be loaded, two routes have the same name, or there are both a
        callback and routes in Python.
    :raises ScriptError: an event route of the ``kamailio.cfg`` cannot be compiled, or one in Python has its name.

    :ivar all_names: the names of all routes.
    :ivar hooks: the hooks of the program, and then those of each file.
    :ivar key_value_entries: the buckets whose changes are to be consumed.
    :ivar passed_over: the blocks of the ``kamailio.cfg`` that natsroute does not run, as they are written.
    :ivar script_warnings: what is probably wrong in its event routes.
    :ivar initialization: what is to run on the variables before any event route; None if there is nothing.
    """

    def __init__(self, settings: Settings, event_routes: EventRoutes | None, call_in_thread: CallInThread) -> None:
        is_function = settings.event_callback and not settings.kemi_script
        self._callback = load_callback(settings.event_callback) if is_function else None
        if self._callback is not None and event_routes is not None:
            problem = "it is called instead of event routes, and the program has event routes"
            raise SettingError("event_callback", settings.event_callback, problem, "Leave one of them out")
        own = [] if event_routes is None else [event_routes]
        code = load_code(settings.event_routes, own)
        self.hooks = code.event_routes.hooks
        routes = list(code.event_routes)
        self.passed_over: tuple[str, ...] = ()
        self.script_warnings: tuple[str, ...] = ()
        self.initialization: Initialization | None = None
        if settings.cfg is not None:
            compiled = compile_cfg(settings.cfg, code.script_functions, call_in_thread)
            _check_names(routes, compiled)
            routes += compiled.event_routes
            self.passed_over = compiled.passed_over
            self.script_warnings = tuple(map(str, compiled.warnings))
            self.initialization = compiled.initialization
        self.all_names = [route.name for route in routes]
        self._table = RouteTable(route for route in routes if route.bucket is None)
        self._key_value = RouteTable(route for route in routes if route.bucket is not None)
        # Several processes would handle each change several times.
        self.key_value_entries = _key_value_entries(routes) if settings.first_process else ()
        self._script = f"{settings.event_callback} of {settings.kemi_script}" if settings.kemi_script else None

    def for_entry(self, entry: AnyEntry, script: ScriptThread | None = None) -> FindRoute:
        """
        A function that finds the route of a message of this ``subject_queue_group`` or ``jetstream_consumer``.

        :param script: the instance of the KEMI script for this consumer, which takes the place of the callback.
        """
        if isinstance(entry, KeyValueEntry):  # the subjects of a mirror are those of another bucket
            return lambda subject: self._key_value.find(subject_of(entry.bucket, key_of(subject)))
        find, route = self._table.find, self._otherwise(entry, script)
        return find if route is None else lambda subject: find(subject) or route

    def by_name(self, entry: AnyEntry, script: ScriptThread | None = None) -> FindRoute:
        """A function that finds the same routes by their names."""
        get, route = self._table_for(entry).get, self._otherwise(entry, script)
        return get if route is None else lambda name: get(name) or (route if route.name == name else None)

    def responding(self, entry: AnyEntry) -> Iterator[tuple[Route, str]]:
        """The event routes that respond to messages of this ``subject_queue_group``, and the subjects of these."""
        for route in self._table.for_subscription(entry.subject):
            subject = intersection(route.pattern, entry.subject) if route.responds else None
            if subject is not None and (is_wildcard(subject) or self._table.find(subject) is route):
                yield route, subject

    def _otherwise(self, entry: AnyEntry, script: ScriptThread | None) -> Route | None:
        """What runs where there is no event route."""
        if isinstance(entry, KeyValueEntry):
            return None
        # Kamailio names the event by the configured subject, whatever the subject of the message.
        if script is not None:
            return Route(PREFIX + entry.event_name, script.call, new_calls=script.calls)
        return None if self._callback is None else Route(PREFIX + entry.event_name, self._callback)

    def for_connections(self, script: ScriptThread | None = None) -> FindRoute:
        """
        A function that finds the route of a connection event, as ``nats:connected``. Wildcards do not match these.

        :param script: the instance of the KEMI script for this connection.
        """
        callback = self._callback if script is None else script.call
        get = self._table.get
        if callback is None:
            return get
        return lambda name: get(name) or Route(name, callback)

    def names(self, entry: AnyEntry) -> list[str]:
        """The routes that messages of this consumer can reach, for the log: at most ten of them."""
        routes = [route.name for route in self._table_for(entry).for_subscription(entry.subject)]
        if isinstance(entry, KeyValueEntry):
            return _some(routes)
        if self._script is not None:
            routes.append(self._script)
        if self._callback is not None:
            routes.append("the event_callback")
        return _some(routes)

    def needs_restart(self, consumed: Iterable[KeyValueEntry]) -> list[str]:
        """
        The names of the routes for changes of a bucket that have none of its consumer.

        :param consumed: the buckets and keys that there are consumers for.
        """
        reached = {entry.bucket: entry for entry in consumed}
        return [
            route.name
            for entry in self.key_value_entries
            for route in self._key_value.for_subscription(entry.subject)
            if entry.bucket not in reached or not reached[entry.bucket].reaches(key_of(route.pattern))
        ]

    def _table_for(self, entry: AnyEntry) -> RouteTable:
        return self._key_value if isinstance(entry, KeyValueEntry) else self._table


def _key_value_entries(routes: Iterable[Route]) -> tuple[KeyValueEntry, ...]:
    patterns: dict[str, list[str]] = {}
    for route in routes:
        if route.bucket is not None:
            patterns.setdefault(route.bucket, []).append(key_of(route.pattern))
    return tuple(KeyValueEntry.of(bucket, found) for bucket, found in patterns.items())


def _some(names: list[str]) -> list[str]:
    more = len(names) - _MAX_NAMES
    return [*names[:_MAX_NAMES], *([f"and {more} more"] if more > 0 else [])]


def compile_cfg(cfg: KamailioCfg, functions: Iterable[ScriptFunction], call_in_thread: CallInThread) -> CompiledScript:
    """
    Compile the event routes of a ``kamailio.cfg``.

    :param functions: functions in Python that it can call.
    :param call_in_thread: runs those of them that block.
    :raises SettingError: two of these functions have the same name, or one has that of a function of natsroute.
    :raises ScriptError: an event route cannot be compiled.
    """
    try:
        in_python = definitions(functions, FUNCTIONS, call_in_thread)
    except RouteError as error:
        raise SettingError("event_routes", "@script_function", str(error), "Give the function a name=…") from None
    return compile_script(cfg, {**FUNCTIONS, **in_python})


def _check_names(routes: Iterable[Route], compiled: CompiledScript) -> None:
    """
    :raises ScriptError: the script and a program in Python have an event route of the same name.
    """
    for route in routes:
        position = compiled.positions.get(route.name)
        if position is not None:
            problem = f"event_route[{route.name}] is also in Python: {name_of(route.function)}"
            raise position.error(problem, "Remove one of them")
