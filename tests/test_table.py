"""natsroute.routes.table"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import RouteError
from natsroute.routes.table import DEFAULT_KEY_CONCURRENCY, Route, RouteTable


def nothing(event: Event) -> None:
    """A route."""


async def coroutine(event: Event) -> None:
    """A route."""


class EventRoutesTests(SynchronousTestCase):
    """Collected by decoration."""

    def test_the_function_stays_what_it_is(self) -> None:
        event_route = EventRoutes()
        self.assertIs(event_route("nats:a")(nothing), nothing)
        [route] = event_route
        self.assertEqual(route, Route("nats:a", nothing))
        self.assertEqual((route.pattern, len(event_route)), ("a", 1))

    def test_one_function_for_several_names(self) -> None:
        event_route = EventRoutes()
        event_route("nats:a")(event_route("nats:b")(nothing))
        self.assertEqual([route.name for route in event_route], ["nats:b", "nats:a"])

    def test_options(self) -> None:
        event_route = EventRoutes()
        event_route("nats:a", concurrency=5)(nothing)
        event_route("nats:b", key=len)(nothing)  # type: ignore[arg-type]
        event_route("nats:c", key=len, concurrency=2)(nothing)  # type: ignore[arg-type]
        self.assertEqual([route.concurrency for route in event_route], [5, DEFAULT_KEY_CONCURRENCY, 2])

    def test_what_cannot_be(self) -> None:
        event_route = EventRoutes()
        event_route("nats:twice")(nothing)
        bad: list[tuple[str, Any, dict[str, Any], str]] = [
            ("Kamailio-World", nothing, {}, "must be 'nats:'"),
            ("nats:", nothing, {}, "it is empty"),
            ("nats:a b", nothing, {}, "white space"),
            ("nats:a.>.b", nothing, {}, "may only be last"),
            ("nats:twice", nothing, {}, "two event routes 'nats:twice'"),
            ("nats:a", "no function", {}, "cannot be called"),
            ("nats:a", nothing, {"concurrency": 0}, "concurrency = 0"),
            ("nats:a", nothing, {"concurrency": True}, "concurrency = True"),
            ("nats:a", nothing, {"concurrency": "2"}, "concurrency = '2'"),
            ("nats:a", nothing, {"key": "Call-ID"}, "key = 'Call-ID'"),
            ("nats:a", coroutine, {"thread": True}, "not in a thread"),
        ]
        for name, function, options, problem in bad:
            error = self.assertRaises(RouteError, event_route(name, **options), function)
            self.assertIn(problem, str(error))

    def test_merged(self) -> None:
        first, second = EventRoutes(), EventRoutes()
        first("nats:a")(nothing)
        second("nats:b")(nothing)
        self.assertEqual(len(EventRoutes.merged([first, second])), 2)
        self.assertRaises(RouteError, EventRoutes.merged, [first, first])


def table(*names: str) -> RouteTable:
    return RouteTable(Route(f"nats:{name}", nothing) for name in names)


class RouteTableTests(SynchronousTestCase):
    """The best route wins."""

    def found(self, routes: RouteTable, subject: str) -> str | None:
        route = routes.find(subject)
        return None if route is None else route.pattern

    def test_the_most_specific(self) -> None:
        routes = table(">", "a.>", "a.*", "a.b", "*.b", "a.*.c", "a.b.>", "a.b.*", "*.*.*.d")
        for subject, best in [
            ("a.b", "a.b"),
            ("a.x", "a.*"),
            ("x.b", "*.b"),
            ("a.b.c", "a.b.*"),
            ("a.x.c", "a.*.c"),
            ("a.x.y", "a.>"),
            ("a.b.c.d", "a.b.>"),
            ("x.y.z.d", "*.*.*.d"),
            ("x", ">"),
            ("x.y.z", ">"),
            ("a", ">"),
        ]:
            self.assertEqual(self.found(routes, subject), best, subject)

    def test_none(self) -> None:
        routes = table("a.*", "b.>", "c")
        for subject in ("a", "a.b.c", "b", "c.d", "d"):
            self.assertIs(self.found(routes, subject), None)

    def test_back_out_of_a_dead_end(self) -> None:
        """A word that leads nowhere does not hide the wildcard beside it."""
        self.assertEqual(self.found(table("a.b.x", "a.*.c", "a.b.x.y"), "a.b.c"), "a.*.c")

    def test_many(self) -> None:
        """1,000 exact routes and 1,000 wildcards: each finds its own."""
        names = [f"exact.{number}" for number in range(1000)]
        wild = [f"wild.{number}.*" for number in range(1000)]
        routes = table(*names, *wild)
        for number in range(1000):
            self.assertEqual(self.found(routes, f"exact.{number}"), f"exact.{number}")
            self.assertEqual(self.found(routes, f"wild.{number}.x"), f"wild.{number}.*")

    def test_by_name(self) -> None:
        """A wildcard does not answer for the name of a connection event."""
        routes = table(">", "connected")
        self.assertEqual(routes.get("nats:connected"), Route("nats:connected", nothing))
        self.assertIs(routes.get("nats:disconnected"), None)

    def test_for_a_subscription(self) -> None:
        routes = table("a.b", "a.*", "b", ">")
        self.assertEqual([route.pattern for route in routes.for_subscription("a.>")], ["a.b", "a.*", ">"])
