"""natsroute.routes.table"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.routes.route import Route
from natsroute.routes.table import RouteTable


def function(event: Event) -> None:
    """The function of a route."""


def table(*names: str) -> RouteTable:
    return RouteTable(Route(f"nats:{name}", function) for name in names)


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

    def test_no_match(self) -> None:
        routes = table("a.*", "b.>", "c")
        for subject in ("a", "a.b.c", "b", "c.d", "d"):
            self.assertIs(self.found(routes, subject), None)

    def test_back_out_of_a_dead_end(self) -> None:
        """A word that leads nowhere does not hide the wildcard beside it."""
        self.assertEqual(self.found(table("a.b.x", "a.*.c", "a.b.x.y"), "a.b.c"), "a.*.c")

    def test_many(self) -> None:
        """1,000 exact routes and 1,000 wildcards: each subject finds its own."""
        names = [f"exact.{number}" for number in range(1000)]
        wild = [f"wild.{number}.*" for number in range(1000)]
        routes = table(*names, *wild)
        for number in range(1000):
            self.assertEqual(self.found(routes, f"exact.{number}"), f"exact.{number}")
            self.assertEqual(self.found(routes, f"wild.{number}.x"), f"wild.{number}.*")

    def test_by_name(self) -> None:
        """A wildcard does not match the name of a connection event."""
        routes = table(">", "connected")
        self.assertEqual(routes.get("nats:connected"), Route("nats:connected", function))
        self.assertIs(routes.get("nats:disconnected"), None)

    def test_for_a_subscription(self) -> None:
        routes = table("a.b", "a.*", "b", ">")
        self.assertEqual([route.pattern for route in routes.for_subscription("a.>")], ["a.b", "a.*", ">"])
