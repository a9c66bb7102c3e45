"""natsroute.testing"""

from __future__ import annotations

from pathlib import Path
from threading import get_ident
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes, RunningService, Settings
from natsroute.errors import (
    ExpressionError,
    HeaderError,
    NoRespondersError,
    PendingLimitError,
    RouteError,
    ScriptError,
    ServerError,
    SettingError,
    SlowConsumerError,
    SubjectError,
)
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

    def test_a_route_that_responds(self) -> None:
        """What it returns is the result, and is published as the answer."""
        self.event_route("nats:double", responds=True)(lambda event: event.json() * 2)
        tester = self.made()
        self.assertEqual(self.successResultOf(tester.deliver("double", 21, reply="inbox")), 42)
        self.assertEqual(tester.published, [Published("inbox", b"42")])

    def test_requests(self) -> None:
        """Routes and hooks ask, and the test has the answers."""

        @self.event_route("nats:calls")
        async def call(event: Event) -> object:
            first = await event.request("billing.start", event.data, headers={"A": "1"})
            every = await event.request_many("nodes", max_messages=2)
            return [first.json(), [answer.text() for answer in every]]

        @self.event_route.on_start
        async def start(service: RunningService) -> None:
            await service.request("config")
            await service.request_many("config")

        tester = self.made()
        self.failureResultOf(tester.start(), NoRespondersError)
        self.flushLoggedErrors(NoRespondersError)
        for subject, answers in (("config", [1]), ("billing.*", [{"id": 7}]), ("nodes", ["x", "y", "z"])):
            tester.answer(subject, *answers)
        self.successResultOf(tester.start())
        self.assertEqual(self.successResultOf(tester.deliver("calls", b"c")), [{"id": 7}, ["x", "y"]])
        asked = tester.requested[3:]
        self.assertEqual([request.subject for request in asked], ["billing.start", "nodes"])
        self.assertEqual((asked[0].data, asked[0].headers), (b"c", {"A": "1"}))

    def test_changes_of_buckets(self) -> None:
        """A change runs its route, and the bucket has it."""
        routes = EventRoutes()
        seen: list[Any] = []

        @routes("kv:calls:a.>")
        async def changed(event: Any) -> str:
            seen.append((event.name, event.key, event.text(), event.operation, event.revision, event.bucket))
            return (await event.key_value("calls").get("b")).text() if event.key == "a.ask" else event.operation

        tester = RouteTester(routes)
        self.assertEqual(self.successResultOf(tester.change("calls", "a.x", "1", ttl=5)), "put")
        self.assertEqual(self.successResultOf(tester.change("calls", "a.x", operation="delete")), "delete")
        self.assertEqual(self.successResultOf(tester.change("calls", "a.x", operation="purge")), "purge")
        self.assertEqual([one[1:5] for one in seen], [("a.x", "1", "put", 1), ("a.x", "", "delete", 2),
                                                      ("a.x", "", "purge", 3)])  # fmt: skip
        self.assertEqual((seen[0][0], seen[0][5]), ("kv:calls:a.>", "calls"))
        tester.key_value("calls").put("b", "from the bucket")
        self.assertEqual(self.successResultOf(tester.change("calls", "a.ask", "?")), "from the bucket")
        self.failureResultOf(tester.change("calls", "b", "1"), RouteError)
        self.failureResultOf(tester.change("calls", "b b", "1"), SubjectError)
        self.failureResultOf(tester.deliver("$KV.calls.a.x"), RouteError)

    def test_expressions(self) -> None:
        """As in production; the time is the tester's."""
        self.event_route("nats:*", thread=True)(
            lambda event: (event.pv("$(natsData{json.parse,n})"), event.format("$natsSubject $TS $mi"))
        )
        self.event_route("nats:connected")(lambda event: event.pv("$mi"))
        tester = self.made()
        for number in (1, 2):
            tester.clock.advance(10)
            result = self.successResultOf(tester.deliver("a", {"n": "x"}))
            self.assertEqual(result, ("x", f"a {number}0 {number}"))
        self.assertEqual(self.successResultOf(tester.connected()), 3)
        self.event_route("nats:b.c")(lambda event: event.pv("$nope"))
        self.failureResultOf(self.made().deliver("b.c"), ExpressionError)

    def test_errors(self) -> None:
        self.event_route("nats:a")(lambda event: 1 // 0)
        self.event_route("nats:b")(lambda event: event.publish("a b", b""))
        tester = self.made()
        self.failureResultOf(tester.deliver("a"), ZeroDivisionError)
        self.failureResultOf(tester.deliver("b"), SubjectError)
        self.failureResultOf(tester.deliver("c"), RouteError)

    def test_publish_options(self) -> None:
        """As in production, msg_id replaces the route's own header, and an unknown policy fails."""
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

    def test_an_invalid_msg_id(self) -> None:
        self.event_route("nats:a")(lambda event: event.publish("b", b"", msg_id="two\r\nlines"))
        tester = self.made()
        self.failureResultOf(tester.deliver("a"), HeaderError)
        self.assertEqual(tester.published, [])

    def test_connection_events(self) -> None:
        servers: list[str | None] = []
        self.event_route("nats:connected")(lambda event: servers.append(event.server))
        tester = self.made()
        self.successResultOf(tester.connected("nats://a"))
        self.failureResultOf(tester.disconnected(), RouteError)
        self.assertEqual(servers, ["nats://a"])

    def test_a_route_that_has_not_ended(self) -> None:
        slow: Deferred[None] = Deferred()
        self.event_route("nats:a")(lambda event: slow)
        self.assertNoResult(self.made().deliver("a"))

    def test_errors_of_connections(self) -> None:
        """The error that the test gives is the event's."""
        errors: list[object] = []
        for name in ("nats:error", "nats:slow_consumer"):
            self.event_route(name)(lambda event: errors.append((event.name, event.error)))
        tester = self.made()
        refused, slow, cut = ServerError("no"), PendingLimitError("a", None, 1, 1, "pause"), SlowConsumerError("slow")
        self.successResultOf(tester.error(refused))
        self.successResultOf(tester.slow_consumer(slow))
        self.successResultOf(tester.slow_consumer(cut))
        self.assertEqual(errors, [("nats:error", refused), ("nats:slow_consumer", slow), ("nats:slow_consumer", cut)])

    def test_in_a_thread(self) -> None:
        """A route for a thread runs in that of the test."""
        threads: list[int] = []
        self.event_route("nats:a", thread=True)(lambda event: threads.append(get_ident()))
        self.successResultOf(self.made().deliver("a"))
        self.assertEqual(threads, [get_ident()])

    def test_hooks(self) -> None:
        """They run as in a service, and what they publish is recorded."""
        steps: list[object] = []

        @self.event_route.on_start
        async def begin(service: RunningService) -> None:
            await service.publish("up", {"name": service.settings.client_name})
            await service.flush()
            steps.append(service.ledger().publisher.confirmed)

        self.event_route.on_stop(lambda service: service.publish("down", b"", msg_id="1"))
        tester = RouteTester(self.event_route, Settings(client_name="me"))
        self.successResultOf(tester.start())
        self.assertEqual((tester.published, steps), ([Published("up", b'{"name":"me"}')], [1]))
        self.successResultOf(tester.stop())
        self.assertEqual(tester.published[1:], [Published("down", b"", headers={"Nats-Msg-Id": "1"})])

    def test_a_hook_that_fails(self) -> None:
        """The test sees its error."""
        self.event_route.on_start(lambda service: service.publish("a b", b""))
        self.failureResultOf(self.made().start(), SubjectError)
        self.flushLoggedErrors(SubjectError)


class ScriptTests(SynchronousTestCase):
    """A user's ``kamailio.cfg``, run without a server."""

    def settings(self, script: str, functions: str = "") -> Settings:
        """Settings with a script, and with functions in Python."""
        folder = Path(self.mktemp())
        folder.mkdir()
        path, code = folder / "kamailio.cfg", folder / "functions.py"
        path.write_text(script, encoding="utf-8")
        code.write_text(f"from natsroute.kamailio.user_functions import script_function\n{functions}", encoding="utf-8")
        more = {"event_routes": [str(code)]} if functions else {}
        return Settings.from_environment({}, kamailio_cfg=str(path), **more)

    def test_event_routes(self) -> None:
        """They run beside those in Python, with the hash tables of the file."""
        event_route = EventRoutes()
        event_route("nats:python")(lambda event: "python")
        script = """
            modparam("htable", "htable", "seen=>size=4;")
            event_route[nats:a] { $sht(seen=>$natsData) = 1; nats_publish("out", "$sht(seen=>x) $natsSubject"); }
        """
        tester = RouteTester(event_route, self.settings(script))
        self.successResultOf(tester.deliver("a", "x"))
        self.assertEqual(tester.published, [Published("out", b"1 a")])
        self.assertEqual(self.successResultOf(tester.deliver("python")), "python")

    def test_functions(self) -> None:
        """Functions in Python, also one that waits."""
        functions = "@script_function\nasync def twice(event, text):\n    event.set_pv('$var(twice)', text * 2)\n"
        script = 'event_route[nats:a] { twice($natsData); nats_publish("out", "$var(twice)"); }'
        tester = RouteTester(EventRoutes(), self.settings(script, functions))
        self.successResultOf(tester.deliver("a", "x"))
        self.assertEqual(tester.published, [Published("out", b"xx")])

    def test_errors(self) -> None:
        settings = self.settings("event_route[nats:a] { nosuch(); }")
        self.assertRaises(ScriptError, RouteTester, EventRoutes(), settings)
        event_route = EventRoutes()
        event_route("nats:a")(print)
        settings = self.settings("event_route[nats:a] { exit; }")
        self.assertRaises(RouteError, RouteTester, event_route, settings)
