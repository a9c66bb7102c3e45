"""natsroute.routes.runner"""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import ServerError
from natsroute.ledger import RouteCounters
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import MAX_WAITING_ERRORS, ConnectionRunner, Runner, RunnerContext
from natsroute.routes.table import RouteTable
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder


class StandInExpressions:
    """Says what it is asked, and for which event; the variables are a number."""

    def __init__(self) -> None:
        self.events = 0

    def new_variables(self) -> int:
        self.events += 1
        return self.events

    def pv(self, event: Event, variables: int, expression: str) -> str:
        return f"pv {expression} of {event.subject}: {variables}"

    def format(self, event: Event, variables: int, text: str) -> str:
        return f"format {text} of {event.subject}: {variables}"


class RunnerTestCase(SynchronousTestCase):
    """Routes, and the messages of one subscription."""

    def setUp(self) -> None:
        clock = Clock()
        self.context = RunnerContext(self.publish, clock, self.call_in_thread, CallsInFlight(clock))
        self.in_threads: list[bytes] = []
        self.event_route = EventRoutes()
        self.got: list[str] = []

    def publish(self, *message: Any, **how: Any) -> Deferred[None]:
        return succeed(None)

    def call_in_thread(self, function: Any, event: Event) -> Deferred[object]:
        self.in_threads.append(event.data)
        return succeed(function(event))

    def runner(self, subject: str = "a.>", queue_group: str | None = None) -> Runner:
        return Runner(RouteTable(self.event_route).find, self.context, subject=subject, queue_group=queue_group)

    def total(self, runner: Runner | ConnectionRunner) -> RouteCounters:
        return RouteCounters.total("", runner.route_counters)

    def send(self, runner: Runner, subject: str, data: bytes = b"") -> Deferred[None] | None:
        return runner.on_msg(Event(Address(subject, 1), data))


class ThreadSpaceTests(RunnerTestCase):
    """Too many calls wait for a thread."""

    def test_the_subscription_waits(self) -> None:
        """Until there is space and, without concurrency, the call has ended. Other routes are not held up."""
        space: Deferred[None] = Deferred()
        spaces = [None, space, space]
        self.context = attrs.evolve(
            self.context, call_in_thread=lambda function, event: Deferred(), thread_space=lambda: spaces.pop(0)
        )
        self.event_route("nats:a.many", thread=True, concurrency=10)(lambda event: None)
        self.event_route("nats:a.one", thread=True)(lambda event: None)
        self.event_route("nats:a.other")(lambda event: None)
        runner = self.runner()
        self.assertIs(self.send(runner, "a.many"), None)
        many, one = self.send(runner, "a.many"), self.send(runner, "a.one")
        assert many is not None
        assert one is not None
        self.assertNoResult(many)
        self.assertIs(self.send(runner, "a.other"), None)
        space.callback(None)
        self.successResultOf(many)
        self.assertNoResult(one)


class RunnerTests(RunnerTestCase):
    """Runner"""

    def test_each_message_to_its_best_route(self) -> None:
        for name in ("nats:a.b", "nats:a.*", "nats:>"):
            self.event_route(name)(lambda event: self.got.append(f"{event.name} {event.subject}"))
        runner = self.runner(queue_group="q")
        for subject in ("a.b", "a.c", "a.d.e", "a.b"):
            self.assertIs(self.send(runner, subject), None)
        self.assertEqual(self.got, ["nats:a.b a.b", "nats:a.* a.c", "nats:> a.d.e", "nats:a.b a.b"])
        total = self.total(runner)
        self.assertEqual((total.routed, total.succeeded, total.in_progress, runner.unrouted), (4, 4, 0, 0))
        self.assertEqual(
            {counters.route: counters.succeeded for counters in runner.route_counters},
            {"nats:a.b": 2, "nats:a.*": 1, "nats:>": 1},
        )

    def test_the_queue_group(self) -> None:
        self.event_route("nats:>")(lambda event: self.got.append(str(event.queue_group)))
        self.send(self.runner(queue_group="2021"), "a")
        self.assertEqual(self.got, ["2021"])

    def test_expressions(self) -> None:
        """All events of a subscription have the same ones."""
        expressions = StandInExpressions()
        self.event_route("nats:>")(lambda event: self.got.append(str(event.pv("$a"))))
        self.event_route("nats:a.b")(lambda event: self.got.append(event.format("b")))
        find = RouteTable(self.event_route).find
        runner = Runner(find, self.context, subject="a.>", queue_group=None, expressions=expressions)
        for subject in ("a.a", "a.b", "a.c"):
            self.send(runner, subject)
        self.assertEqual(self.got, ["pv $a of a.a: 1", "format b of a.b: 2", "pv $a of a.c: 3"])

    def test_expressions_of_connection_events(self) -> None:
        self.event_route("nats:connected")(lambda event: self.got.append(event.format("x")))
        find = RouteTable(self.event_route).get
        ConnectionRunner(find, self.context, expressions=StandInExpressions()).fire("nats:connected", "nats://a:4222")
        self.assertEqual(self.got, ["format x of : 1"])

    def test_connection_events_have_no_span(self) -> None:
        """They belong to their version of the code."""
        events: list[Event] = []
        self.event_route("nats:connected")(events.append)
        ConnectionRunner(RouteTable(self.event_route).get, self.context, version="v1").fire(
            "nats:connected", "nats://a"
        )
        self.assertEqual([(event.span, event.context.version) for event in events], [(None, "v1")])

    def test_unrouted_messages(self) -> None:
        """They are counted. There is one warning for each configured subject, however many consumers and subjects."""
        log = LogRecorder(self)
        first, second, other = self.runner("a.>"), self.runner("a.>"), self.runner("b")
        for runner, subject in [(first, "a.1"), (first, "a.2"), (second, "a.1"), (other, "b")]:
            self.assertIs(self.send(runner, subject), None)
        self.assertEqual([runner.unrouted for runner in (first, second, other)], [2, 1, 1])
        self.assertEqual(len(log.lines("warn")), 2)
        self.assertEqual(
            log.lines("warn")[0],
            "No event route matches a message to 'a.1' (subject_queue_group 'a.>'). Add a route 'nats:a.>'. "
            "Further messages without a route are counted, not logged",
        )

    def test_all_subjects_of_a_route_share_its_concurrency(self) -> None:
        """concurrency=2 holds for the route, not for each subject."""
        self.event_route("nats:a.*", concurrency=2)(lambda event: Deferred())
        runner = self.runner()
        self.assertIs(self.send(runner, "a.1"), None)
        self.assertIsNot(self.send(runner, "a.2"), None)

    def test_in_a_thread(self) -> None:
        self.event_route("nats:a", thread=True)(lambda event: self.got.append(event.text()))
        self.send(self.runner(), "a", b"hi")
        self.assertEqual((self.in_threads, self.got), ([b"hi"], ["hi"]))

    def test_remembered_subjects_are_bounded(self) -> None:
        self.event_route("nats:a.*")(lambda event: None)
        runner = self.runner()
        for number in range(20_000):
            self.send(runner, f"a.{number}")
        self.assertLess(len(runner._for_subject), 10_000)
        self.assertEqual(self.total(runner).succeeded, 20_000)


class ConnectionRunnerTests(RunnerTestCase):
    """ConnectionRunner"""

    def fire(self, *events: tuple[str, str]) -> None:
        runner = ConnectionRunner(RouteTable(self.event_route).get, self.context, queue_group="q")
        for name, server in events:
            runner.fire(name, server)

    def test_the_routes_of_a_connection(self) -> None:
        for name in ("nats:connected", "nats:disconnected"):
            self.event_route(name)(lambda event: self.got.append(f"{event.name} {event.server} {event.queue_group}"))
        self.fire(("nats:connected", "nats://a:4222"), ("nats:disconnected", "nats://a:4222"))
        self.assertEqual(self.got, ["nats:connected nats://a:4222 q", "nats:disconnected nats://a:4222 q"])

    def test_errors_of_the_server(self) -> None:
        """While the route is slow, only MAX_WAITING_ERRORS wait for it."""
        slow: Deferred[None] = Deferred()

        @self.event_route("nats:error")
        def failed(event: Event) -> Deferred[None]:
            self.got.append(str(event.error))
            return slow

        runner = ConnectionRunner(RouteTable(self.event_route).get, self.context)
        for number in range(2 * MAX_WAITING_ERRORS):
            runner.fire("nats:error", "nats://a:4222", ServerError(f"error {number}"))
        self.assertEqual(self.got, ["error 0"])
        slow.callback(None)
        self.assertEqual(len(self.got), MAX_WAITING_ERRORS + 1)
        runner.fire("nats:error", "nats://a:4222", ServerError("one more"))
        self.assertEqual(self.got[-1], "one more")
        total = self.total(runner)
        self.assertEqual((total.routed, total.succeeded, total.waiting), (MAX_WAITING_ERRORS + 2,) * 2 + (0,))

    def test_one_after_the_other(self) -> None:
        """nats:disconnected does not run before nats:connected has ended."""
        slow: Deferred[None] = Deferred()
        self.event_route("nats:connected")(lambda event: slow)
        self.event_route("nats:disconnected")(lambda event: self.got.append("disconnected"))
        self.fire(("nats:connected", "nats://a"), ("nats:disconnected", "nats://a"))
        self.assertEqual(self.got, [])
        slow.callback(None)
        self.assertEqual(self.got, ["disconnected"])

    def test_the_context_of_the_next(self) -> None:
        """Not that of whatever ended the one before."""
        variable: ContextVar[str] = ContextVar("variable", default="unset")
        slow: Deferred[None] = Deferred()
        self.event_route("nats:connected")(lambda event: slow)
        self.event_route("nats:disconnected")(lambda event: self.got.append(variable.get()))
        self.fire(("nats:connected", "nats://a"), ("nats:disconnected", "nats://a"))

        def end() -> None:
            variable.set("of another call")
            slow.callback(None)

        copy_context().run(end)
        self.assertEqual(self.got, ["unset"])

    def test_an_error_does_not_stop_the_next(self) -> None:
        self.event_route("nats:connected")(lambda event: 1 // 0)
        self.event_route("nats:disconnected")(lambda event: self.got.append("disconnected"))
        self.fire(("nats:connected", "nats://a"), ("nats:disconnected", "nats://a"))
        self.assertEqual((self.got, len(self.flushLoggedErrors(ZeroDivisionError))), (["disconnected"], 1))

    def test_without_routes(self) -> None:
        runner = ConnectionRunner(RouteTable(self.event_route).get, self.context)
        runner.fire("nats:connected", "nats://a")
        self.assertEqual(runner.route_counters, [])

    def test_at_the_end(self) -> None:
        """After calls were cancelled, nothing begins: neither what waits behind them nor what comes later."""
        self.event_route("nats:connected")(lambda event: self.got.append(str(event.server)) or Deferred())
        runner = ConnectionRunner(RouteTable(self.event_route).get, self.context)
        for server in ("1", "2"):
            runner.fire("nats:connected", server)
        self.assertEqual(self.context.in_flight.unfinished, ["nats:connected"])
        self.context.in_flight.stop()
        runner.fire("nats:connected", "3")
        total = self.total(runner)
        self.assertEqual((self.got, total.routed, total.failed, total.waiting), (["1"], 2, 1, 1))


class GoOverTests(RunnerTestCase):
    """Another version of the code."""

    def setUp(self) -> None:
        super().setUp()
        self.new = EventRoutes()
        self.calls: list[Deferred[None]] = []

    def busy(self, event: Event) -> Deferred[None]:
        self.got.append(f"old {event.text()}")
        self.calls.append(Deferred())
        return self.calls[-1]

    def go_over(self, runner: Runner) -> None:
        table = RouteTable(self.new)
        runner.go_over(table.find, table.get, None, "new")

    def test_routes_and_counters(self) -> None:
        """Of a route that is there in both, one that is gone, and a new one."""
        for name in ("nats:a.both", "nats:a.gone"):
            self.event_route(name)(lambda event: self.got.append(f"old {event.text()}"))
        for name in ("nats:a.both", "nats:a.new"):
            self.new(name)(lambda event: self.got.append(f"new {event.text()}"))
        runner = self.runner()
        for subject in ("a.both", "a.gone", "a.new"):
            self.send(runner, subject, subject.encode())
        self.go_over(runner)
        for subject in ("a.both", "a.gone", "a.new"):
            self.send(runner, subject, subject.encode())
        self.assertEqual(self.got, ["old a.both", "old a.gone", "new a.both", "new a.new"])
        self.assertEqual(
            {one.route: (one.routed, one.succeeded) for one in runner.route_counters},
            {"nats:a.both": (2, 2), "nats:a.gone": (1, 1), "nats:a.new": (1, 1)},
        )
        self.assertEqual(runner.unrouted, 2)
        self.assertTrue(runner.has_left(None))
        self.assertFalse(runner.has_left("new"))

    def test_a_call_that_runs(self) -> None:
        """It ends in the former version, and is counted with the others of its route."""
        self.event_route("nats:a.b", concurrency=2)(self.busy)
        self.new("nats:a.b", concurrency=2)(lambda event: self.got.append(f"new {event.text()}"))
        runner = self.runner()
        self.send(runner, "a.b", b"1")
        [call] = self.context.in_flight.running
        self.go_over(runner)
        self.send(runner, "a.b", b"2")
        self.assertEqual(self.got, ["old 1", "new 2"])
        self.assertEqual((call.event.context.version, runner.has_left(None)), (None, False))
        [counters] = runner.route_counters
        self.assertEqual((counters.routed, counters.succeeded, counters.in_progress), (2, 1, 1))
        self.calls[0].callback(None)
        self.assertEqual((counters.succeeded, runner.has_left(None)), (2, True))

    def test_must_wait(self) -> None:
        """For calls of a route that is to handle one message after the other."""
        self.event_route("nats:a.b", concurrency=2)(self.busy)
        runner = self.runner()
        table = RouteTable(self.new)
        self.assertFalse(runner.must_wait(table.get))
        self.send(runner, "a.b")
        self.assertFalse(runner.must_wait(table.get))
        self.new("nats:a.b")(print)
        table = RouteTable(self.new)
        self.assertTrue(runner.must_wait(table.get))
        self.calls[0].callback(None)
        self.assertFalse(runner.must_wait(table.get))

    def test_what_waits_behind_a_key(self) -> None:
        """It runs in the new version; and in the former one, if the route is gone."""
        for name in ("nats:a.both", "nats:a.gone"):
            self.event_route(name, key=lambda event: 1)(self.busy)
        self.new("nats:a.both", key=lambda event: 1)(lambda event: self.got.append(f"new {event.text()}"))
        runner = self.runner()
        for data in (b"1", b"2"):
            self.send(runner, "a.both", data)
            self.send(runner, "a.gone", data)
        self.go_over(runner)
        for call in self.calls[:]:
            call.callback(None)
        self.assertEqual(self.got, ["old 1", "old 1", "new 2", "old 2"])
        self.assertFalse(runner.has_left(None))
        self.calls[-1].callback(None)
        self.assertTrue(runner.has_left(None))
        self.assertEqual(self.context.in_flight.waiting, [])
        self.assertEqual(self.total(runner).succeeded, 4)

    def test_middleware_that_raises(self) -> None:
        """The new version goes on without what waited for the former one, which runs there."""
        self.event_route("nats:a.b", key=lambda event: 1)(self.busy)
        runner = self.runner()
        for data in (b"1", b"2"):
            self.send(runner, "a.b", data)
        fails = [False]

        def around(function: Any) -> Any:
            if fails[0]:
                raise ValueError("no")
            return function

        self.new("nats:a.b", key=lambda event: 1, middleware=[around])(print)
        self.new("nats:a.c")(lambda event: self.got.append("new c"))
        fails[0] = True
        self.go_over(runner)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.send(runner, "a.c")
        self.calls[0].callback(None)
        self.assertEqual(self.got, ["old 1", "new c", "old 2"])
        self.assertFalse(runner.has_left(None))

    def test_warnings_again(self) -> None:
        log = LogRecorder(self)
        for _ in range(2):
            self.context.unrouted.warn("a", "a")
        self.context.unrouted.begin_anew()
        self.context.unrouted.warn("a", "a")
        self.assertEqual(len(log.lines("warn")), 2)

    def test_connection_events(self) -> None:
        """Those that wait run in the new version, unless their route is gone."""
        for name in ("nats:connected", "nats:disconnected"):
            self.event_route(name)(lambda event: self.busy_event("old", event))
        self.new("nats:connected")(lambda event: self.busy_event("new", event))
        runner = ConnectionRunner(RouteTable(self.event_route).get, self.context)
        for name in ("nats:connected", "nats:disconnected", "nats:connected"):
            runner.fire(name, "nats://a")
        runner.go_over(RouteTable(self.new).get, None, "new")
        runner.fire("nats:disconnected", "nats://a")
        runner.fire("nats:connected", "nats://a")
        self.assertFalse(runner.has_left(None))
        for number in range(4):
            self.calls[number].callback(None)
        self.assertEqual(
            self.got,
            ["old nats:connected", "old nats:disconnected", "new nats:connected", "new nats:connected"],
        )
        self.assertTrue(runner.has_left(None))
        self.assertEqual({one.route: one.succeeded for one in runner.route_counters}["nats:connected"], 3)

    def busy_event(self, version: str, event: Event) -> Deferred[None]:
        self.got.append(f"{version} {event.name}")
        self.calls.append(Deferred())
        return self.calls[-1]
