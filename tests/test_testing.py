"""natsroute.testing"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import HeaderError, RouteError, SettingError, SubjectError
from natsroute.testing import Published, RouteTester


class RouteTesterTests(SynchronousTestCase):
    """A user's routes, run without a server."""

    def setUp(self) -> None:
        self.event_route = EventRoutes()
        self.tester = RouteTester(self.event_route)

    def made(self) -> RouteTester:
        return RouteTester(self.event_route)

    def test_deliver(self) -> None:
        @self.event_route("nats:dialogs.*")
        async def dialog(event: Event) -> str:
            await event.publish("presence", event.json(), headers={"From": event.headers["From"]})
            await event.respond(lambda: "ok")
            return event.subject

        tester = self.made()
        ended = tester.deliver("dialogs.x", {"a": 1}, reply="inbox", headers={"From": "alice"})
        self.assertEqual(self.successResultOf(ended), "dialogs.x")
        self.assertEqual(
            tester.published, [Published("presence", b'{"a":1}', headers={"From": "alice"}), Published("inbox", b"ok")]
        )

    def test_errors_reach_the_test(self) -> None:
        self.event_route("nats:a")(lambda event: 1 // 0)
        self.event_route("nats:b")(lambda event: event.publish("a b", b""))
        tester = self.made()
        self.failureResultOf(tester.deliver("a"), ZeroDivisionError)
        self.failureResultOf(tester.deliver("b"), SubjectError)
        self.failureResultOf(tester.deliver("c"), RouteError)

    def test_how_it_is_published(self) -> None:
        """The id is a header, and goes before the route's own, as in production; a policy must be one."""
        own = {"Nats-Msg-Id": "own", "N": "v"}

        @self.event_route("nats:a")
        async def relay(event: Event) -> None:
            await event.publish("b", b"1", msg_id="id", policy="drop")
            await event.publish("b", b"2", headers=own, msg_id="id")
            await event.publish("b", b"3", headers=own, policy="fail")
            await event.publish("b", b"4", policy="never")

        tester = self.made()
        error = self.failureResultOf(tester.deliver("a"), SettingError).value
        self.assertIn("Use one of keep, fail, drop", str(error))
        self.assertEqual(
            tester.published,
            [
                Published("b", b"1", headers={"Nats-Msg-Id": "id"}),
                Published("b", b"2", headers={"Nats-Msg-Id": "id", "N": "v"}),
                Published("b", b"3", headers=own),
            ],
        )
        self.assertEqual(own["Nats-Msg-Id"], "own")

    def test_an_id_that_cannot_be_sent(self) -> None:
        self.event_route("nats:a")(lambda event: event.publish("b", b"", msg_id="two\r\nlines"))
        tester = self.made()
        self.failureResultOf(tester.deliver("a"), HeaderError)
        self.assertEqual(tester.published, [])

    def test_connection_events(self) -> None:
        told: list[str | None] = []
        self.event_route("nats:connected")(lambda event: told.append(event.server))
        tester = self.made()
        self.successResultOf(tester.connected("nats://a"))
        self.failureResultOf(tester.disconnected(), RouteError)
        self.assertEqual(told, ["nats://a"])

    def test_a_route_that_takes_its_time(self) -> None:
        slow: Deferred[None] = Deferred()
        self.event_route("nats:a")(lambda event: slow)
        self.assertNoResult(self.made().deliver("a"))
