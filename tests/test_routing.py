"""natsroute.daemon.routing"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, Settings
from natsroute.daemon.queue_entry import QueueEntry
from natsroute.daemon.routing import Routing
from natsroute.errors import SettingError


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
        routing = Routing(Settings(event_routes=[self.file("b")]), self.event_route)
        find = routing.for_entry(QueueEntry(">"))
        for subject, name in [("a", "nats:a"), ("a.x", "nats:a.*"), ("b", "nats:b")]:
            route = find(subject)
            assert route is not None
            self.assertEqual(route.name, name)
        self.assertIs(find("c"), None)
        self.assertEqual(routing.names(QueueEntry("a.x")), ["nats:a.*"])

    def test_a_route_in_both(self) -> None:
        error = self.assertRaises(SettingError, Routing, Settings(event_routes=[self.file("a")]), self.event_route)
        self.assertIn("two event routes 'nats:a'", str(error))

    def test_callback(self) -> None:
        """The event has the name of the configured subject. Connection events reach the callback, too."""
        routing = Routing(Settings(event_callback="builtins:print"), None)
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
        routing = Routing(Settings(kemi_script="a.py", event_callback="f"), None)
        route = routing.for_entry(QueueEntry("a.*", "q"), script)("a.b")
        assert route is not None
        self.assertEqual((route.name, route.function, route.new_calls), ("nats:a.*", script.call, script.calls))
        found = routing.for_connections(script)("nats:connected")
        assert found is not None
        self.assertEqual((found.name, found.function, found.new_calls), ("nats:connected", script.call, None))
        self.assertEqual(routing.names(QueueEntry("a")), [f"f of {os.path.abspath('a.py')}"])
        self.assertRaises(SettingError, Routing, Settings(kemi_script="a.py", event_callback="f"), self.event_route)

    def test_callback_and_routes(self) -> None:
        error = self.assertRaises(SettingError, Routing, Settings(event_callback="builtins:print"), self.event_route)
        self.assertIn("Leave one of them out", str(error))

    def test_at_most_ten_names(self) -> None:
        for number in range(1000):
            self.event_route(f"nats:many.{number}")(lambda event: None)
        names = Routing(Settings(), self.event_route).names(QueueEntry("many.>"))
        self.assertEqual((len(names), names[-1]), (11, "and 990 more"))
