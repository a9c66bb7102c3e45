"""natsroute.middleware"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed

from natsroute import Event, EventRoutes, middleware
from natsroute.errors import RouteError
from natsroute.middleware import Middleware, RouteFunction
from natsroute.testing import RouteTester
from tests.support.route_cases import MiddlewareTestCase


class OrderTests(MiddlewareTestCase):
    """Around every route of a collection, around one route, and around that the options."""

    def test_the_first_is_the_outermost(self) -> None:
        order: list[str] = []

        def recording(name: str) -> Middleware:
            def around(function: RouteFunction) -> RouteFunction:
                def record(event: Event) -> object:
                    order.append(name)
                    return function(event)

                return record

            return around

        event_route = EventRoutes(middleware=[recording("1"), recording("2")])
        event_route("nats:a", middleware=[recording("3")], retries=1)(
            lambda event: order.append(f"attempt {event.attempts}")
        )
        event_route("nats:b")(lambda event: order.append("b"))
        tester = RouteTester(event_route)
        self.successResultOf(tester.deliver("a"))
        self.successResultOf(tester.deliver("b"))
        self.assertEqual(order, ["1", "2", "3", "attempt 1", "1", "2", "b"])

    def test_around_a_thread(self) -> None:
        """The function runs in the thread, the middleware on the reactor."""
        self.results = [ValueError(), succeed(5)]
        tester = self.make(thread=True, retries=1)
        ended = tester.deliver("a")
        tester.clock.advance(1)
        self.assertEqual(self.successResultOf(ended), 5)


class OwnMiddlewareTests(MiddlewareTestCase):
    """Middleware of the program."""

    def test_as_documented(self) -> None:
        """The example at the top of the module: it sees the event before the route, and the end after it."""
        took: list[tuple[str, float]] = []

        def timed(function: RouteFunction) -> RouteFunction:
            async def around(event: Event) -> object:
                started = event.clock.seconds()
                try:
                    return await maybeDeferred(function, event)
                finally:
                    took.append((event.name, event.clock.seconds() - started))

            return around

        running: Deferred[int] = Deferred()
        self.results = [running, ValueError()]
        tester = self.make(timed)
        ended = tester.deliver("a")
        tester.clock.advance(3)
        running.callback(5)
        self.assertEqual(self.successResultOf(ended), 5)
        self.failureResultOf(tester.deliver("a"), ValueError)
        self.assertEqual(took, [("nats:a", 3.0), ("nats:a", 0.0)])

    def test_what_is_not_middleware(self) -> None:
        """A factory without its arguments, or something else: the error names the route."""
        factories = [getattr(middleware, name) for name in middleware.__all__ if name[0].islower()]
        factories.remove(middleware.message_id)
        self.assertEqual(len(factories), 6)
        wrong: list[Any] = [*factories, 5, lambda function: None]
        for around in wrong:
            error = self.assertRaises(RouteError, EventRoutes()("nats:a", middleware=[around]), self.route)
            self.assertIn("event route 'nats:a': its middleware cannot be used", str(error))
