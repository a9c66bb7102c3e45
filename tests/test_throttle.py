"""natsroute.routes.middleware.throttle"""

from __future__ import annotations

from natsroute import EventRoutes
from natsroute.errors import RouteError
from natsroute.middleware import throttle
from natsroute.testing import RouteTester
from tests.support.route_cases import MiddlewareTestCase


class ThrottleTests(MiddlewareTestCase):
    """throttle()"""

    def test_evenly_spread(self) -> None:
        tester = self.make(throttle(2))
        waits = [tester.deliver("a") for _ in range(4)]
        begun = []
        for _ in range(8):
            begun.append(len(self.events))
            tester.clock.advance(0.25)
        self.assertEqual(begun, [1, 1, 2, 2, 3, 3, 4, 4])
        for wait in waits:
            self.successResultOf(wait)

    def test_no_burst_after_a_pause(self) -> None:
        """Calls that were not made in a quiet hour are not made up for."""
        tester = self.make(throttle(1))
        self.successResultOf(tester.deliver("a"))
        tester.clock.advance(3600)
        waits = [tester.deliver("a") for _ in range(3)]
        self.successResultOf(waits[0])
        self.assertNoResult(waits[1])

    def test_shared(self) -> None:
        """Routes with the same throttle share its limit."""
        one = throttle(1)
        event_route = EventRoutes(middleware=[one])
        event_route("nats:a")(self.route)
        event_route("nats:b")(self.route)
        tester = RouteTester(event_route)
        self.successResultOf(tester.deliver("a"))
        self.assertNoResult(tester.deliver("b"))

    def test_each_clock_by_itself(self) -> None:
        """A test finds nothing of the test before, and two testers do not affect each other."""
        one = throttle(1)
        first, second = self.make(one), self.make(one)
        first.clock.advance(1000)
        for tester in (first, second):
            self.successResultOf(tester.deliver("a"))
        for tester in (first, second):
            self.assertNoResult(tester.deliver("a"))

    def test_arguments(self) -> None:
        """Both are numbers above 0."""
        self.assertEqual(str(self.assertRaises(RouteError, throttle, 0)), "limit = 0; it must be a number above 0")
        error = self.assertRaises(RouteError, throttle, 1, "1")
        self.assertEqual(str(error), "seconds = '1'; it must be a number above 0")
