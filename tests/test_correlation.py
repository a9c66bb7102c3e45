"""natsroute.routes.middleware.correlation"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from natsroute import Event, EventRoutes
from natsroute.errors import RouteError
from natsroute.ledger import RouteCounters
from natsroute.middleware import Middleware, correlation
from natsroute.routes.event import EventContext
from natsroute.testing import RouteTester
from natsroute.wire.frames import Address
from tests.support.route_cases import MiddlewareTestCase


class CorrelationTests(MiddlewareTestCase):
    """correlation()"""

    def make(self, *middleware: Middleware, **options: Any) -> RouteTester:
        event_route = EventRoutes(middleware=middleware)

        @event_route("nats:a")
        async def relay(event: Event) -> None:
            await event.publish("b", b"", headers={"N": "v"})
            await event.respond(b"")

        return RouteTester(event_route)

    def test_an_id_that_came(self) -> None:
        tester = self.make(correlation())
        self.successResultOf(tester.deliver("a", reply="r", headers={"Correlation-Id": "call-1"}))
        self.assertEqual(
            [message.headers for message in tester.published],
            [{"Correlation-Id": ["call-1"], "N": "v"}, {"Correlation-Id": ["call-1"]}],
        )

    def test_received_headers(self) -> None:
        """They keep all their values."""
        event_route = EventRoutes(middleware=[correlation()])
        event_route("nats:a")(lambda event: event.publish("b", b"", headers=event.headers))
        tester = RouteTester(event_route)
        self.successResultOf(tester.deliver("a", headers={"A": ["1", "2"], "Correlation-Id": "x"}))
        self.assertEqual(tester.published[0].headers, {"A": ["1", "2"], "Correlation-Id": ["x"]})

    def test_an_answer_that_is_not_confirmed(self) -> None:
        """It has the id, too, and so has that of a route that responds."""
        answers: list[Any] = []
        context = EventContext(
            lambda *message, **options: succeed(None),
            Clock(),
            RouteCounters("nats:a"),
            answer=lambda *a: answers.append(a),
        )
        event = Event.of_message(context, Address("a", 1), b"", b"NATS/1.0\r\nCorrelation-Id: 5\r\n\r\n", b"r")
        correlation()(lambda event: event.respond(b"x", {"N": "v"}, confirm=False))(event)
        self.assertEqual(answers, [("r", b"x", {"Correlation-Id": ["5"], "N": "v"})])

    def test_a_new_id(self) -> None:
        """A message without an id gets a new one for everything that its call publishes; the next gets another."""
        tester = self.make(correlation("X-Correlation-ID"))
        for _ in range(2):
            self.successResultOf(tester.deliver("a", reply="r"))
        ids = [(message.headers or {})["X-Correlation-ID"][0] for message in tester.published]
        self.assertEqual([ids[0] == ids[1], ids[2] == ids[3], ids[0] == ids[2]], [True, True, False])

    def test_header(self) -> None:
        """It must be a name."""
        error = self.assertRaises(RouteError, correlation, len)
        self.assertIn("it must be the name of a header", str(error))
