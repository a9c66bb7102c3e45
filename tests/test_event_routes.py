"""natsroute.routes.event_routes"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Endpoint, Event, EventRoutes
from natsroute.errors import RouteError
from natsroute.routes.event_routes import DEFAULT_KEY_CONCURRENCY
from natsroute.routes.route import Route


def function(event: Event) -> None:
    """The function of a route."""


class EventRoutesTests(SynchronousTestCase):
    """Collected by decoration."""

    def test_the_function_stays_what_it_is(self) -> None:
        event_route = EventRoutes()
        self.assertIs(event_route("nats:a")(function), function)
        [route] = event_route
        self.assertEqual(route, Route("nats:a", function))
        self.assertEqual(len(event_route), 1)

    def test_one_function_for_several_names(self) -> None:
        event_route = EventRoutes()
        event_route("nats:a")(event_route("nats:b")(function))
        self.assertEqual([route.name for route in event_route], ["nats:b", "nats:a"])

    def test_options(self) -> None:
        event_route = EventRoutes()
        event_route("nats:a", concurrency=5)(function)
        event_route("nats:b", key=len)(function)  # type: ignore[arg-type]
        event_route("nats:c", key=len, concurrency=2)(function)  # type: ignore[arg-type]
        self.assertEqual([route.concurrency for route in event_route], [5, DEFAULT_KEY_CONCURRENCY, 2])

    def test_group(self) -> None:
        """The group is in the subjects, and not in the names of the endpoints."""
        calc = EventRoutes(group="calc.v1")
        calc("nats:add", responds=True)(function)
        calc("nats:sub.>", responds=True, endpoint=Endpoint(metadata={"a": "b"}))(function)
        calc("nats:mul", responds=True, endpoint=Endpoint("times"))(function)
        calc("nats:log")(function)
        self.assertEqual(
            [(route.name, route.endpoint) for route in calc],
            [
                ("nats:calc.v1.add", Endpoint("add")),
                ("nats:calc.v1.sub.>", Endpoint("sub", {"a": "b"})),
                ("nats:calc.v1.mul", Endpoint("times")),
                ("nats:calc.v1.log", None),
            ],
        )

    def test_wrong_groups(self) -> None:
        wrong: list[Any] = ["a.", "a b", "a.*", ">", 5]
        for group in wrong:
            error = self.assertRaises(RouteError, EventRoutes, group=group)
            self.assertIn(f"group {group!r}: ", str(error))
        error = self.assertRaises(RouteError, EventRoutes(group="calc")("add", responds=True), function)
        self.assertIn("a name must be 'nats:' and a subject, or 'kv:BUCKET:' and a key", str(error))

    def test_two_routes_of_one_name(self) -> None:
        event_route = EventRoutes()
        event_route("nats:twice")(function)
        error = self.assertRaises(RouteError, event_route("nats:twice"), function)
        self.assertEqual(str(error), "there are two event routes 'nats:twice'. Remove one of them")

    def test_wrong_routes(self) -> None:
        """A route that is not valid cannot be added."""
        error = self.assertRaises(RouteError, EventRoutes()("Kamailio-World"), function)
        self.assertEqual(
            str(error), "event route 'Kamailio-World': a name must be 'nats:' and a subject, or 'kv:BUCKET:' and a key"
        )

    def test_wrong_options(self) -> None:
        """Each mistake names the route."""
        for options, problem in [
            ({"timeout": 0}, "timeout = 0; it must be a number above 0"),
            ({"timeout": "1"}, "timeout = '1'; it must be a number above 0"),
            ({"retries": -1}, "retries = -1; it must be an integer of at least 1"),
            ({"retries": 1.5}, "retries = 1.5; it must be an integer of at least 1"),
            ({"dead_letter": "a b"}, "dead_letter: subject 'a b'"),
            ({"dead_letter": "x.*"}, "dead_letter: subject 'x.*'"),
            ({"dead_letter": "a"}, "dead_letter = 'a': the route would get its own dead letters"),
        ]:
            error = self.assertRaises(RouteError, EventRoutes(), "nats:a", **options)
            self.assertIn(f"event route 'nats:a': {problem}", str(error))

    def test_merged(self) -> None:
        first, second = EventRoutes(), EventRoutes()
        first("nats:a")(function)
        second("nats:b")(function)
        self.assertEqual(len(EventRoutes.merged([first, second])), 2)
        self.assertRaises(RouteError, EventRoutes.merged, [first, first])
