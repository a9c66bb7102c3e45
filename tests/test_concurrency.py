"""natsroute.routes.concurrency"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.ledger import RouteCounters
from natsroute.routes.calls import Calls
from natsroute.routes.concurrency import BACKLOG_PER_KEY, KeyedCalls, calls_of
from natsroute.routes.event import EventContext
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.middleware.retry import retry
from natsroute.routes.route import Route
from natsroute.wire.frames import Address
from tests.support.waiting import run_one_call

variable: ContextVar[str] = ContextVar("variable", default="unset")


class ConcurrencyTestCase(SynchronousTestCase):
    """A route whose calls end when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.in_flight = CallsInFlight(self.clock)
        self.counters = RouteCounters("nats:a")
        self.started: list[bytes] = []
        self.running: dict[bytes, Deferred[None]] = {}
        self.context = EventContext(lambda *message, **how: Deferred(), Clock(), self.counters)

    def route(self, event: Event) -> Deferred[None]:
        self.started.append(event.data)
        self.running[event.data] = Deferred()
        return self.running[event.data]

    def calls(self, **options: Any) -> Calls:
        return self.calls_of(Route("nats:a", self.route, **options))

    def calls_of(self, route: Route) -> Calls:
        return calls_of(route, lambda function, event: maybeDeferred(function, event), self.counters, self.in_flight)

    def call(self, calls: Calls, data: bytes) -> Deferred[None] | None:
        self.counters.routed += 1
        return calls.call(Event.of_message(self.context, Address("a", 1), data))

    def end(self, data: bytes) -> None:
        self.running.pop(data).callback(None)


class SerialTests(ConcurrencyTestCase):
    """One message after the other."""

    def test_the_next_may_come_when_the_call_has_ended(self) -> None:
        busy = self.call(self.calls(), b"1")
        assert busy is not None
        self.assertNoResult(busy)
        self.end(b"1")
        self.successResultOf(busy)

    def test_the_cheapest_calls(self) -> None:
        """Without options there is nothing around a call that would cost each message time."""
        self.assertIs(type(self.calls()), Calls)
        self.assertIs(type(self.calls(concurrency=1)), Calls)


class ParallelTests(ConcurrencyTestCase):
    """concurrency=N"""

    def test_calls_that_end_at_once(self) -> None:
        """They do not count among those that run."""
        calls = self.calls_of(Route("nats:a", lambda event: None, concurrency=2))
        self.assertEqual([self.call(calls, b"x") for _ in range(5)], [None] * 5)
        self.assertEqual(self.counters.succeeded, 5)

    def test_n_messages_at_once(self) -> None:
        calls = self.calls(concurrency=3)
        self.assertEqual([self.call(calls, b"1"), self.call(calls, b"2")], [None, None])
        full = self.call(calls, b"3")
        assert full is not None
        self.assertEqual(self.started, [b"1", b"2", b"3"])
        self.assertNoResult(full)
        self.end(b"2")
        self.successResultOf(full)
        full = self.call(calls, b"4")
        assert full is not None
        self.end(b"1")
        self.successResultOf(full)
        self.end(b"3")
        self.end(b"4")
        self.assertEqual((self.counters.succeeded, self.counters.in_progress, len(self.in_flight.running)), (4, 0, 0))


class BacklogTests(ConcurrencyTestCase):
    """Calls that end at once and take 1 ms each, behind one that took longer."""

    def slow(self, event: Event) -> Deferred[None] | None:
        if event.data == b"first":
            return self.route(event)
        self.started.append(event.data)
        self.clock.rightNow += 0.001
        return None

    def backlog(self) -> Calls:
        """Keyed calls with 20 events behind the first one, which has ended."""
        calls = self.calls_of(Route("nats:a", self.slow, key=lambda event: "key", concurrency=10))
        for data in (b"first", *(b"%d" % number for number in range(20))):
            self.call(calls, data)
        self.end(b"first")
        return calls

    def test_in_turns(self) -> None:
        """The reactor has its turn after a few milliseconds. What comes meanwhile waits behind the others."""
        calls = self.backlog()
        self.assertLessEqual(len(self.started), 8)
        self.call(calls, b"last")
        self.assertLessEqual(len(self.started), 8, "an event overtook the others")
        while self.counters.waiting:
            before = len(self.started)
            run_one_call(self.clock)
            self.assertLessEqual(len(self.started) - before, 7)
        self.assertEqual(self.started, [b"first", *(b"%d" % number for number in range(20)), b"last"])
        self.assertEqual(self.counters.in_progress, 0)

    def test_stopped_between_two_turns(self) -> None:
        """Nothing begins before the next start."""
        self.backlog()
        self.in_flight.stop()
        before = len(self.started)
        self.clock.advance(0)
        self.assertEqual(len(self.started), before)
        self.in_flight.start()
        self.clock.pump([0.0] * 10)
        self.assertEqual((len(self.started), self.counters.waiting), (21, 0))


class KeyedTests(ConcurrencyTestCase):
    """key=: one after the other for each key, different keys at the same time."""

    def keyed(self, concurrency: int = 2) -> Calls:
        return self.calls(key=lambda event: event.data[:1], concurrency=concurrency)

    def test_order_for_each_key(self) -> None:
        calls = self.keyed(concurrency=3)
        for data in (b"a1", b"a2", b"b1", b"a3"):
            self.assertIs(self.call(calls, data), None)
        self.assertEqual(self.started, [b"a1", b"b1"])
        self.end(b"a1")
        self.assertEqual(self.started, [b"a1", b"b1", b"a2"])
        self.end(b"b1")
        self.end(b"a2")
        self.end(b"a3")
        self.assertEqual(self.started, [b"a1", b"b1", b"a2", b"a3"])

    def test_n_keys_at_once(self) -> None:
        calls = self.keyed()
        self.assertIs(self.call(calls, b"a1"), None)
        full = self.call(calls, b"b1")
        assert full is not None
        self.end(b"a1")
        self.successResultOf(full)
        self.assertIsNot(self.call(calls, b"c1"), None)
        self.assertEqual(self.started, [b"a1", b"b1", b"c1"])

    def test_the_backlog_of_a_key_is_bounded(self) -> None:
        calls = self.keyed()
        taken = [self.call(calls, b"a%d" % number) for number in range(1 + 2 * BACKLOG_PER_KEY)]
        self.assertEqual(taken[:-1], [None] * (2 * BACKLOG_PER_KEY))
        full = taken[-1]
        assert full is not None
        self.assertNoResult(full)
        self.end(b"a0")
        self.successResultOf(full)

    def test_the_context_of_the_next_call(self) -> None:
        """Not that of whatever ended the one before."""
        seen: list[str] = []

        def route(event: Event) -> Deferred[None]:
            seen.append(variable.get())
            return self.route(event)

        calls = self.calls_of(Route("nats:a", route, 4, lambda event: 1))
        for data in (b"1", b"2"):
            self.call(calls, data)

        def end() -> None:
            variable.set("of another call")
            self.end(b"1")

        copy_context().run(end)
        self.assertEqual((seen, self.started), (["unset", "unset"], [b"1", b"2"]))

    def test_keys_are_forgotten(self) -> None:
        """However many keys there are, only the running ones are kept."""
        calls = self.keyed()
        assert isinstance(calls, KeyedCalls)
        for number in range(1000):
            data = b"%c%d" % (number % 256, number)
            self.call(calls, data)
            self.end(data)
        self.assertEqual(calls._queues, {})

    def test_quick_calls_behind_a_slow_one(self) -> None:
        """They run one after the other when their turn comes, without growing the stack."""
        quick: list[bytes] = []

        def route(event: Event) -> Deferred[None] | None:
            quick.append(event.data)
            return self.route(event) if event.data == b"a0" else None

        made = Route("nats:a", route, 1000, lambda event: event.data[:1])
        calls = self.calls_of(made)
        for number in range(1000):
            self.call(calls, b"a%d" % number)
        self.assertEqual(quick, [b"a0"])
        self.end(b"a0")
        self.assertEqual(quick, [b"a%d" % number for number in range(1000)])

    def test_what_is_unfinished(self) -> None:
        """Running calls, and the events that wait behind them."""
        calls = self.calls(key=lambda event: event.data[:1])
        self.assertTrue(self.in_flight.idle)
        for data in (b"a1", b"a2", b"b1"):
            self.call(calls, data)
        self.assertEqual((self.in_flight.idle, self.in_flight.unfinished), (False, ["a"] * 3))
        self.end(b"a1")
        self.assertEqual(
            (len(self.in_flight.waiting), len(self.in_flight.running), self.counters.in_progress), (0, 2, 2)
        )
        self.end(b"a2")
        self.end(b"b1")
        self.assertEqual((self.in_flight.idle, self.in_flight.unfinished), (True, []))

    def test_a_key_function_that_fails(self) -> None:
        """The message fails and the next may come. It raises, looks at a cancelled Future, or returns a list."""
        cancelled: asyncio.Future[str] = asyncio.Future(loop=asyncio.new_event_loop())
        self.addCleanup(cancelled.get_loop().close)
        cancelled.cancel()
        for key in (lambda event: 1 // 0, lambda event: cancelled.result(), lambda event: []):
            calls = self.calls(key=key)
            self.assertIs(self.call(calls, b"x"), None)
        self.assertEqual((self.started, self.counters.failed), ([], 3))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, asyncio.CancelledError, TypeError)), 3)

    def test_a_key_function_that_fails_is_an_error_of_the_route(self) -> None:
        """It passes through the middleware: here it is tried again, and then has a dead letter."""
        published: list[Any] = []

        def publish(*message: Any, **how: Any) -> Deferred[None]:
            published.append(message)
            return succeed(None)

        keys: list[Any] = [ZeroDivisionError(), ZeroDivisionError(), ZeroDivisionError(), ZeroDivisionError(), "key"]

        def key(event: Event) -> str:
            result = keys.pop(0)
            if isinstance(result, Exception):
                raise result
            return str(result)

        clock = Clock()
        self.context = EventContext(publish, clock, self.counters)
        event_route = EventRoutes()
        event_route("nats:a", key=key, retries=1, dead_letter="dead", concurrency=2)(self.route)
        [route] = event_route
        calls = self.calls_of(route)
        self.assertIs(self.call(calls, b"1"), None)
        clock.advance(0.1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.started, self.counters.failed, self.counters.dead_lettered), ([], 1, 1))
        self.assertEqual(published[0][:2], ("dead", b"1"))
        self.assertEqual(published[0][3]["Natsroute-Error"], "ZeroDivisionError: ")
        self.assertIs(self.call(calls, b"2"), None)
        clock.advance(0.1)
        self.assertEqual(self.started, [b"2"], "the key was found at the second attempt")

    def test_calls_without_a_key_are_limited_too(self) -> None:
        """While one is tried again, it takes the place of a key."""
        clock = Clock()
        self.context = EventContext(lambda *message, **how: Deferred(), clock, self.counters)
        calls = self.calls(key=lambda event: 1 // 0, concurrency=2, middleware=(retry(1),))
        self.assertIs(self.call(calls, b"1"), None)
        full = self.call(calls, b"2")
        assert full is not None
        self.assertNoResult(full)
        clock.advance(0.1)
        self.successResultOf(full)
        self.assertEqual((self.counters.failed, len(self.flushLoggedErrors(ZeroDivisionError))), (2, 1))

    def test_a_key_function_that_raises_anything(self) -> None:
        """Also what is not an Exception."""

        def key(event: Event) -> str:
            raise GeneratorExit

        self.assertIs(self.call(self.calls(key=key), b"x"), None)
        self.assertEqual((self.counters.failed, len(self.flushLoggedErrors(GeneratorExit))), (1, 1))


class StopTests(ConcurrencyTestCase):
    """Nothing follows a call that was cancelled at the end, until the service is started again."""

    def test_nothing_follows(self) -> None:
        for options in ({}, {"concurrency": 1, "key": lambda event: 1}, {"concurrency": 2}):
            calls = self.calls(**options)
            self.started.clear()
            results = [self.call(calls, b"%d" % number) for number in range(2)]
            begun, waiting = list(self.started), self.counters.waiting
            self.in_flight.stop()
            self.assertEqual(
                (self.started, self.counters.waiting, self.counters.in_progress), (begun, waiting, 0), options
            )
            next_may_come = results[-1]
            assert next_may_come is not None
            self.assertNoResult(next_may_come)
            self.in_flight.start()
            self.assertEqual(self.started, [b"0", b"1"], options)
            if "key" in options:
                self.end(b"1")
            self.successResultOf(next_may_come)


class TakeOverTests(ConcurrencyTestCase):
    """A new version of a route follows the former one."""

    def key(self, event: Event) -> bytes:
        return event.data[:1]

    def keyed(self, **options: Any) -> Calls:
        return self.calls(**{"key": self.key, **options})

    def new_route(self, event: Event) -> Deferred[None]:
        self.started.append(b"new " + event.data)
        self.running[event.data] = Deferred()
        return self.running[event.data]

    def new(self, old: Calls, **options: Any) -> Calls:
        calls = self.calls_of(Route("nats:a", self.new_route, **{"key": self.key, **options}))
        self.new_context = attrs.evolve(self.context)
        calls.take_over(old, self.new_context)
        return calls

    def test_keys(self) -> None:
        """A message waits for the call with its key, and what waits runs in the new version, in order."""
        old = self.keyed()
        for data in (b"a1", b"a2", b"b1"):
            self.call(old, data)
        new = self.new(old)
        for data in (b"a3", b"b2", b"c1"):
            self.call(new, data)
        self.assertEqual(self.started, [b"a1", b"b1", b"new c1"])
        self.assertEqual((self.counters.waiting, self.counters.in_progress), (3, 3))
        for data in (b"b1", b"a1", b"a2", b"a3", b"b2", b"c1"):
            self.end(data)
        self.assertEqual(self.started[3:], [b"new b2", b"new a2", b"new a3"])
        self.assertEqual(
            (self.counters.succeeded, self.counters.waiting, new.is_busy, old.is_busy), (6, 0, False, False)
        )
        old.forget()
        self.assertEqual(self.in_flight.waiting, [])

    def test_contexts(self) -> None:
        """What waits gets the context of the new version."""
        old = self.keyed()
        event = Event.of_message(self.context, Address("a", 1), b"a2")
        self.call(old, b"a1")
        self.counters.routed += 1
        old.call(event)
        self.new(old)
        self.assertIs(event.context, self.new_context)
        self.assertEqual(self.in_flight.waiting, [event])

    def test_another_key_function(self) -> None:
        """It is called for what runs and for what waits. What it gives no key runs by itself."""
        old = self.keyed()
        for data in (b"a1", b"a2", b"ax", b"b1"):
            self.call(old, data)
        self.assertEqual(self.started, [b"a1", b"b1"])
        new = self.new(old, key=lambda event: {b"1": 1, b"2": 1, b"3": 2}[event.data[1:]])
        self.clock.advance(0)
        self.assertEqual(self.started[2:], [b"new ax"])
        self.call(new, b"c3")
        self.call(new, b"c1")
        self.end(b"a1")
        self.assertEqual(self.started[3:], [b"new c3"])
        self.end(b"b1")
        self.assertEqual(self.started[4:], [b"new a2"])
        self.end(b"a2")
        self.assertEqual(self.started[5:], [b"new c1"])
        for data in (b"ax", b"c3", b"c1"):
            self.end(data)
        self.assertEqual((self.counters.succeeded, self.counters.failed, self.counters.in_progress), (6, 0, 0))

    def test_a_subscription_that_waits(self) -> None:
        """It goes on when the new version is below its limit, and not when the former one would be."""
        old = self.keyed(concurrency=2)
        self.call(old, b"a1")
        busy = self.call(old, b"b1")
        assert busy is not None
        self.new(old, concurrency=1)
        self.clock.advance(0)
        self.end(b"a1")
        self.assertNoResult(busy)
        self.end(b"b1")
        self.successResultOf(busy)

    def test_a_higher_limit(self) -> None:
        """It goes on at once."""
        old = self.keyed(concurrency=1)
        busy = self.call(old, b"a1")
        assert busy is not None
        self.new(old, concurrency=2)
        self.assertNoResult(busy)  # the runner is not done yet
        self.clock.advance(0)
        self.successResultOf(busy)
        self.end(b"a1")

    def test_three_versions(self) -> None:
        """A call of the first holds back its key in the third."""
        first = self.keyed()
        self.call(first, b"a1")
        second = self.new(first)
        self.call(second, b"a2")
        third = self.new(second)
        self.call(third, b"a3")
        self.end(b"a1")
        self.assertEqual(self.started, [b"a1", b"new a2"])
        self.end(b"a2")
        self.assertEqual(self.started, [b"a1", b"new a2", b"new a3"])
        self.end(b"a3")
        self.assertEqual(self.counters.in_progress, 0)

    def test_from_concurrency_to_keys(self) -> None:
        """What runs has its key."""
        old = self.calls(concurrency=5)
        self.call(old, b"a1")
        self.call(old, b"a2")
        new = self.new(old)
        self.call(new, b"a3")
        self.end(b"a1")
        self.assertNotIn(b"new a3", self.started)
        self.end(b"a2")
        self.assertIn(b"new a3", self.started)
        self.end(b"a3")

    def test_without_keys(self) -> None:
        """What waits stays where it is."""
        old = self.keyed()
        self.call(old, b"a1")
        self.call(old, b"a2")
        self.calls(concurrency=5).take_over(old, self.context)
        self.end(b"a1")
        self.assertEqual(self.started, [b"a1", b"a2"])
        self.assertTrue(old.is_busy)
        self.end(b"a2")
        self.assertFalse(old.is_busy)

    def test_what_must_end_first(self) -> None:
        """Calls of a route that is to handle one message after the other; its own calls hold up the next message."""
        one, several = Route("nats:a", print), Route("nats:a", print, concurrency=2)
        keyed = Route("nats:a", print, key=self.key)
        for options, expected in (({}, False), ({"concurrency": 2}, True), ({"key": self.key, "concurrency": 2}, True)):
            calls = self.calls(**options)
            self.assertFalse(calls.must_end_before(one))
            self.call(calls, b"a1")
            self.assertEqual(
                [calls.must_end_before(route) for route in (one, several, keyed)], [expected, False, False]
            )
            self.end(b"a1")
            self.assertFalse(calls.must_end_before(one))
