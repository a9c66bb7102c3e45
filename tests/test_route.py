"""natsroute.routes.route"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Endpoint, Event
from natsroute.errors import RouteError
from natsroute.middleware import Middleware, RouteFunction
from natsroute.routes.route import Route
from tests.support.route_cases import an_event


def function(event: Event) -> None:
    """The function of a route."""


async def coroutine(event: Event) -> None:
    """The coroutine function of a route."""


class CheckTests(SynchronousTestCase):
    """Route.check()"""

    def test_valid_routes(self) -> None:
        for route in (
            Route("nats:a", function),
            Route("nats:a.*.>", coroutine, 5),
            Route("nats:connected", function, key=len, thread=True),  # type: ignore[arg-type]
            Route("kv:calls:a.*.>", coroutine, 5),
        ):
            route.check()

    def test_mistakes(self) -> None:
        """Each error names the route and the mistake."""
        wrong: list[tuple[str, Any, dict[str, Any], str]] = [
            ("Kamailio-World", function, {}, "a name must be 'nats:' and a subject"),
            ("nats:", function, {}, "it is empty"),
            ("kv:", function, {}, "'' is not the name of a bucket"),
            ("kv:calls", function, {}, "'' is not a pattern of keys"),
            ("kv:ca.lls:a", function, {}, "'ca.lls' is not the name of a bucket"),
            ("kv:calls:a b", function, {}, "'a b' is not a pattern of keys"),
            ("kv:calls:a", function, {"responds": True}, "nobody waits for an answer"),
            ("kv:calls:a", function, {"ack": "before"}, "are not acknowledged"),
            ("nats:a b", function, {}, "white space"),
            ("nats:a.>.b", function, {}, "may only be last"),
            ("nats:a", "no function", {}, "'no function' is not callable"),
            ("nats:a", function, {"concurrency": 0}, "concurrency = 0; it must be an integer of at least 1"),
            ("nats:a", function, {"concurrency": True}, "concurrency = True"),
            ("nats:a", function, {"concurrency": "2"}, "concurrency = '2'"),
            ("nats:a", function, {"key": "Call-ID"}, "key = 'Call-ID' is not callable"),
            ("nats:a", coroutine, {"thread": True}, "a coroutine function runs on the reactor, not in a thread"),
            ("nats:a", function, {"endpoint": Endpoint("a")}, "Add responds=True"),
            ("nats:a", function, {"endpoint": "a", "responds": True}, "write endpoint=Endpoint('NAME')"),
            ("nats:a", function, {"middleware": (lambda function: 5,)}, "returned 5, which is not callable"),
        ]
        for name, called, options, problem in wrong:
            error = self.assertRaises(RouteError, Route(name, called, **options).check)
            self.assertIn(f"event route {name!r}: ", str(error))
            self.assertIn(problem, str(error))


class WrappedTests(SynchronousTestCase):
    """Route.wrapped()"""

    def setUp(self) -> None:
        self.in_threads: list[RouteFunction] = []

    def call_in_thread(self, called: RouteFunction, event: Event) -> Deferred[object]:
        self.in_threads.append(called)
        return succeed(called(event))

    def test_bucket(self) -> None:
        """The pattern is that of the stream."""
        route = Route("kv:calls:a.>", function)
        self.assertEqual((route.bucket, route.pattern), ("calls", "$KV.calls.a.>"))
        self.assertIsNone(Route("nats:kv.a", function).bucket)

    def test_pattern(self) -> None:
        self.assertEqual(Route("nats:a.*", function).pattern, "a.*")

    def test_the_bare_function(self) -> None:
        """Without options nothing is around it, because each message would pay for it."""
        self.assertIs(Route("nats:a", function).wrapped(self.call_in_thread), function)

    def test_middleware_around_a_thread(self) -> None:
        """The first is the outermost, and only the function runs in the thread."""

        def adding(text: str) -> Middleware:
            def around(inner: RouteFunction) -> RouteFunction:
                def add(event: Event) -> object:
                    result: Any = inner(event)
                    return result.addCallback(lambda value: text + value)

                return add

            return around

        def threaded(event: Event) -> str:
            return "c"

        route = Route("nats:a", threaded, thread=True, middleware=(adding("a"), adding("b")))
        result: Any = route.wrapped(self.call_in_thread)(an_event())
        self.assertEqual((self.successResultOf(result), self.in_threads), ("abc", [threaded]))
