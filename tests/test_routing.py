"""natsroute.daemon.code.routing"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, Settings
from natsroute.daemon.code.routing import Routing
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.jetstream_entries import ConsumerEntry
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import ScriptError, SettingError
from natsroute.routes.results import call_deferred


def _in_python(event: object) -> None:
    """An event route in Python."""


SCRIPT = """
request_route { t_relay(); }
route[OTHER] { exit; }
event_route[nats:a] { nats_publish("native", "$natsData"); }
event_route[nats:connected] { exit; }
"""


class ScriptTests(SynchronousTestCase):
    """The event routes of a ``kamailio.cfg``, beside those of the program or the callback."""

    def settings(self, script: str = SCRIPT, **more: Any) -> Settings:
        """Settings with a ``kamailio.cfg``."""
        path = Path(self.mktemp())
        path.write_text(script, encoding="utf-8")
        return Settings.from_environment({}, kamailio_cfg=str(path), **more)

    def test_beside_the_program(self) -> None:
        event_route = EventRoutes()
        event_route("nats:b")(print)
        routing = Routing(self.settings(), event_route, call_deferred)
        find = routing.for_entry(QueueEntry(">"))
        names = [route and route.name for route in (find("a"), find("b"), find("c"))]
        self.assertEqual(names, ["nats:a", "nats:b", None])
        self.assertEqual(routing.all_names, ["nats:b", "nats:a", "nats:connected"])
        self.assertEqual(routing.names(QueueEntry("a")), ["nats:a"])
        self.assertEqual(routing.passed_over, ("request_route", "route[OTHER]"))

    def test_the_callback_runs_where_there_is_no_route(self) -> None:
        routing = Routing(self.settings(event_callback="builtins:print"), None, call_deferred)
        find, events = routing.for_entry(QueueEntry(">")), routing.for_connections()
        for route, name, is_callback in [
            (find("a"), "nats:a", False),
            (find("b"), "nats:>", True),
            (events("nats:connected"), "nats:connected", False),
            (events("nats:disconnected"), "nats:disconnected", True),
        ]:
            assert route is not None
            self.assertEqual((route.name, route.function is print), (name, is_callback))
        self.assertEqual(routing.names(QueueEntry("a")), ["nats:a", "the event_callback"])

    def test_in_both(self) -> None:
        """The error has both places."""
        event_route = EventRoutes()
        event_route("nats:a")(_in_python)
        error = self.assertRaises(ScriptError, Routing, self.settings(), event_route, call_deferred)
        self.assertEqual(error.line, 4)
        self.assertIn("event_route[nats:a] is also in Python: _in_python() (", error.problem)

    def test_functions_in_python(self) -> None:
        """Scripts can call them; one with the name of another is an error."""
        path = Path(self.mktemp()).with_suffix(".py")
        for name, script, fails in [
            ("greet", "event_route[nats:a] { greet($natsData); }", False),
            ("greet", "event_route[nats:a] { greet(); }", True),
            ("xlog", "event_route[nats:a] { exit; }", True),
        ]:
            text = "from natsroute.kamailio.user_functions import script_function\n"
            path.write_text(f"{text}@script_function\ndef {name}(event, text): pass\n", encoding="utf-8")
            settings = self.settings(script, event_routes=[str(path)])
            if fails:
                self.assertRaises((ScriptError, SettingError), Routing, settings, None, call_deferred)
            else:
                self.assertEqual(Routing(settings, None, call_deferred).all_names, ["nats:a"])

    def test_errors(self) -> None:
        """They have the line of the file."""
        settings = self.settings("event_route[nats:a] {\n  nosuch();\n}")
        error = self.assertRaises(ScriptError, Routing, settings, None, call_deferred)
        self.assertEqual((error.line, error.column), (2, 3))


class RoutingTests(SynchronousTestCase):
    """The routes of the program and of files, or the callback instead."""

    def setUp(self) -> None:
        self.event_route = EventRoutes()
        self.event_route("nats:a")(lambda event: None)
        self.event_route("nats:a.*")(lambda event: None)

    def file(self, name: str) -> str:
        """A routes file with one route."""
        path = Path(self.mktemp()).with_suffix(".py")
        path.write_text(
            f"from natsroute import EventRoutes\nr = EventRoutes()\nr('nats:{name}')(print)\n", encoding="utf-8"
        )
        return str(path)

    def test_routes_of_program_and_files(self) -> None:
        routing = Routing(Settings(event_routes=[self.file("b")]), self.event_route, call_deferred)
        find = routing.for_entry(QueueEntry(">"))
        for subject, name in [("a", "nats:a"), ("a.x", "nats:a.*"), ("b", "nats:b")]:
            route = find(subject)
            assert route is not None
            self.assertEqual(route.name, name)
        self.assertIs(find("c"), None)
        self.assertEqual(routing.names(QueueEntry("a.x")), ["nats:a.*"])

    def test_a_route_in_both(self) -> None:
        error = self.assertRaises(
            SettingError, Routing, Settings(event_routes=[self.file("a")]), self.event_route, call_deferred
        )
        self.assertIn("two event routes 'nats:a'", str(error))

    def test_callback(self) -> None:
        """The event has the name of the configured subject. Connection events reach the callback, too."""
        routing = Routing(Settings(event_callback="builtins:print"), None, call_deferred)
        for found in (routing.for_entry(QueueEntry("a.*", "q"))("a.b"), routing.for_connections()("nats:connected")):
            assert found is not None
            self.assertIs(found.function, print)
        found = routing.for_entry(QueueEntry("a.*", "q"))("a.b")
        self.assertEqual(found and found.name, "nats:a.*")
        self.assertEqual(routing.names(QueueEntry("a")), ["the event_callback"])

    def test_script(self) -> None:
        """A consumer's messages and events go to its instance of the script."""

        class Script:
            def call(self, event: object) -> None:
                """The events of the connection."""

            def calls(self, counters: object, in_flight: object) -> None:
                """The messages."""

        script: Any = Script()
        routing = Routing(Settings(kemi_script="a.py", event_callback="f"), None, call_deferred)
        route = routing.for_entry(QueueEntry("a.*", "q"), script)("a.b")
        assert route is not None
        self.assertEqual((route.name, route.function, route.new_calls), ("nats:a.*", script.call, script.calls))
        found = routing.for_connections(script)("nats:connected")
        assert found is not None
        self.assertEqual((found.name, found.function, found.new_calls), ("nats:connected", script.call, None))
        self.assertEqual(routing.names(QueueEntry("a")), [f"f of {os.path.abspath('a.py')}"])

        stream = ConsumerEntry.parse("CALLS:billing")
        route = routing.for_entry(stream, script)("calls.a")
        assert route is not None
        self.assertEqual((route.name, routing.names(stream)), ("nats:CALLS:billing", routing.names(QueueEntry("a"))))
        self.assertEqual(routing.by_name(stream, script)("nats:CALLS:billing"), route)

        event_route = EventRoutes()
        event_route("nats:a.own")(print)
        routing = Routing(Settings(kemi_script="a.py", event_callback="f"), event_route, call_deferred)
        find = routing.for_entry(QueueEntry("a.*", "q"), script)
        functions = [route.function for route in map(find, ("a.own", "a.b")) if route is not None]
        self.assertEqual(functions, [print, script.call])

    def test_callback_and_routes(self) -> None:
        error = self.assertRaises(
            SettingError, Routing, Settings(event_callback="builtins:print"), self.event_route, call_deferred
        )
        self.assertIn("Leave one of them out", str(error))

    def test_at_most_ten_names(self) -> None:
        for number in range(1000):
            self.event_route(f"nats:many.{number}")(lambda event: None)
        names = Routing(Settings(), self.event_route, call_deferred).names(QueueEntry("many.>"))
        self.assertEqual((len(names), names[-1]), (11, "and 990 more"))

    def test_by_name(self) -> None:
        """Those of the program and the callback; nothing that only matches."""
        routing = Routing(Settings(event_callback="builtins:print"), None, call_deferred)
        get = routing.by_name(QueueEntry("b.*"))
        names = [route and route.name for route in map(get, ("nats:b.*", "nats:b.c"))]
        self.assertEqual(names, ["nats:b.*", None])
        get = Routing(Settings(), self.event_route, call_deferred).by_name(QueueEntry("b.*"))
        self.assertEqual([get("nats:b.*"), getattr(get("nats:a"), "name", "")], [None, "nats:a"])

    def test_responding(self) -> None:
        """With the subjects of their messages, and without those that a better route hides."""
        event_route = EventRoutes()
        for name in ("nats:calc.*", "nats:calc.add", "nats:other"):
            event_route(name, responds=True)(print)
        event_route("nats:calc.log")(print)
        routing = Routing(Settings(), event_route, call_deferred)

        def responding(subject: str) -> list[tuple[str, str]]:
            return [(route.name, found) for route, found in routing.responding(QueueEntry(subject, "q"))]

        self.assertEqual(responding("calc.>"), [("nats:calc.*", "calc.*"), ("nats:calc.add", "calc.add")])
        self.assertEqual(responding("calc.add"), [("nats:calc.add", "calc.add")])
        self.assertEqual(responding("calc.log"), [])
        self.assertEqual(responding("*.x"), [("nats:calc.*", "calc.x")])


class KeyValueTests(SynchronousTestCase):
    """Routes for the changes of buckets."""

    def routing(self, *names: str, **settings: Any) -> Routing:
        """Some routes."""
        event_route = EventRoutes()
        for name in names:
            event_route(name)(_in_python)
        return Routing(Settings(**settings), event_route, call_deferred)

    def test_apart_from_messages(self) -> None:
        """A message to the subject of a key finds the route for messages, a change that for changes."""
        routing = self.routing("nats:$KV.b.>", "kv:b:a.*", "kv:c:>", "nats:>")
        first, second = routing.key_value_entries
        self.assertEqual((first, second), (KeyValueEntry("b", ("a.*",)), KeyValueEntry("c", (">",))))
        messages, changes = routing.for_entry(QueueEntry(">")), routing.for_entry(first)
        self.assertEqual([route and route.name for route in (messages("$KV.b.a.x"), changes("$KV.b.a.x"))],
                         ["nats:$KV.b.>", "kv:b:a.*"])  # fmt: skip
        self.assertIsNone(changes("$KV.b.x"))
        found = routing.by_name(first)("kv:b:a.*")
        self.assertEqual(found and found.name, "kv:b:a.*")
        self.assertEqual(routing.names(first), ["kv:b:a.*"])

    def test_a_mirror(self) -> None:
        """The subjects of its keys name the bucket that it mirrors."""
        routing = self.routing("kv:b:a")
        route = routing.for_entry(routing.key_value_entries[0])("$KV.origin.a")
        self.assertEqual(route and route.name, "kv:b:a")

    def test_no_callback(self) -> None:
        """It is for messages."""
        routing = Routing(Settings(event_callback="builtins:print"), None, call_deferred)
        self.assertIsNone(routing.for_entry(KeyValueEntry("b", (">",)))("$KV.b.a"))

    def test_several_processes(self) -> None:
        """The first one alone consumes changes."""
        self.assertEqual(self.routing("kv:b:a", first_process=False).key_value_entries, ())

    def test_what_needs_a_restart(self) -> None:
        """A new bucket, or keys that no pattern of the consumer has."""
        consumed = [KeyValueEntry("b", ("a", "c.*")), KeyValueEntry("all", (">",))]
        routing = self.routing("kv:b:a", "kv:b:x", "kv:all:y", "kv:new:z")
        self.assertEqual(routing.needs_restart(consumed), ["kv:b:x", "kv:new:z"])
