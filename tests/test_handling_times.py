"""natsroute.routes.handling_times: with the real calls of a route."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.ledger import RouteCounters
from natsroute.routes.calls import Calls
from natsroute.routes.concurrency import KeyedCalls, ParallelCalls
from natsroute.routes.event import EventContext
from natsroute.routes.handling_times import INTERVAL, MAX_ROUTES, HandlingTimes
from natsroute.routes.in_flight import CallsInFlight
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder


class HandlingTimesCase(SynchronousTestCase):
    """
    Calls that take the time that the test says.

    :ivar handled: what was reported: route, seconds, and the number of calls.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.handled: list[tuple[str, float, int]] = []
        self.times = HandlingTimes(self.clock, self.on_handled)
        self.in_flight = CallsInFlight(self.clock, handling_times=self.times)
        self.log = LogRecorder(self)
        self.takes = 0.0
        self.result: Any = None
        self.calls = self.new_calls("nats:a")

    def on_handled(self, counters: RouteCounters, seconds: float, count: int) -> None:
        self.handled.append((counters.route, round(seconds, 9), count))

    def new_calls(self, route: str) -> Calls:
        return Calls(self.route, RouteCounters(route), self.in_flight)

    def route(self, event: Event) -> Any:
        self.clock.rightNow += self.takes
        if isinstance(self.result, Exception):
            raise self.result
        return self.result() if callable(self.result) else self.result

    def call(self, takes: float = 0.0, result: Any = None, calls: Calls | None = None) -> Deferred[None] | None:
        """Call the route, as the runner does."""
        calls = calls or self.calls
        self.takes, self.result = takes, result
        calls.counters.routed += 1
        context = EventContext(lambda *message, **options: succeed(None), self.clock, calls.counters)
        return calls.call(Event.of_message(context, Address("a", 1), b"", b""))

    def count(self) -> int:
        """Calls that were reported, each with those that it stands for."""
        return sum(count for _, _, count in self.handled)


class AtOnceTests(HandlingTimesCase):
    """Calls that end at once: one of many is measured."""

    def test_first_call(self) -> None:
        self.call(0.5)
        self.assertEqual(self.handled, [("nats:a", 0.5, 1)])

    def test_one_stands_for_many(self) -> None:
        """The next one that is measured stands for all since the last one."""
        for _ in range(100):
            self.call(0.001)
        self.assertEqual(self.count(), 1)
        self.clock.advance(INTERVAL)
        self.call(0.25)
        self.assertEqual(self.handled[1:], [("nats:a", 0.25, 100)])

    def test_little_traffic(self) -> None:
        """Each call is measured if there are no others within the interval."""
        for number in range(1, 20):
            self.call(number / 100)
            self.clock.advance(INTERVAL)
        self.assertEqual(self.handled, [("nats:a", number / 100, 1) for number in range(1, 20)])

    def test_settle(self) -> None:
        """The last measured one stands for the rest too, so that no call is missing."""
        for _ in range(100):
            self.call(0.5)
        self.times.settle()
        self.assertEqual(self.count(), 100)
        self.times.settle()
        self.assertEqual(self.count(), 100)

    def test_settle_before_the_first(self) -> None:
        self.times.settle()
        self.assertEqual(self.handled, [])

    def test_mix(self) -> None:
        """A tenth of the calls is slow; so is a tenth of what is reported, although one in eleven is measured."""
        for number in range(11_000):
            self.call(0.5 if number % 10 == 0 else 0.0)
            if number % 11 == 0:
                self.clock.advance(INTERVAL)
        self.times.settle()
        slow = sum(count for _, seconds, count in self.handled if seconds > 0.1)
        self.assertEqual(self.count(), 11_000)
        self.assertApproximates(slow / 11_000, 0.1, 0.01)

    def test_whatever_ends_at_once(self) -> None:
        """Coroutines and Deferreds too, and calls that fail. The time of a coroutine is that of its body."""

        async def coroutine() -> None:
            self.clock.rightNow += 0.25

        for result in (
            1,
            "x",
            coroutine,
            lambda: succeed(1),
            lambda: fail(ValueError()),
            ValueError(),
            lambda: object(),
        ):
            self.handled.clear()
            self.assertIs(self.call(0.5, result), None)
            self.assertEqual(self.handled, [("nats:a", 0.75 if result is coroutine else 0.5, 1)], result)
            self.clock.advance(INTERVAL)
        self.assertEqual((self.calls.counters.succeeded, self.calls.counters.failed), (5, 2))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_no_reactor_work_without_calls(self) -> None:
        """The timer runs only after a call."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.call()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(INTERVAL)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_call_within_a_call(self) -> None:
        """The inner one is counted, and not measured."""
        outer = True

        def nested() -> None:
            nonlocal outer
            if outer:
                outer = False
                self.call(0.1, nested)

        self.call(0.2, nested)
        self.times.settle()
        self.assertEqual((self.count(), self.calls.counters.succeeded), (2, 2))


class InFlightTests(HandlingTimesCase):
    """Calls that do not end at once: each is measured."""

    def test_deferred(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.call(0.0, waiting)
        self.clock.advance(2.0)
        self.assertEqual(self.handled, [])
        waiting.callback(None)
        self.assertEqual(self.handled, [("nats:a", 2.0, 1)])

    def test_coroutine(self) -> None:
        waiting: Deferred[None] = Deferred()

        async def coroutine() -> None:
            await waiting

        self.call(0.0, coroutine)
        self.clock.advance(2.0)
        waiting.callback(None)
        self.times.settle()
        self.assertEqual(self.handled, [("nats:a", 2.0, 1)])

    def test_failed(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.call(0.0, waiting)
        self.clock.advance(2.0)
        waiting.errback(ValueError())
        self.assertEqual(self.handled, [("nats:a", 2.0, 1)])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_paused(self) -> None:
        """A Deferred that has fired and waits for another one has not ended."""
        waiting: Deferred[None] = Deferred()
        self.call(0.0, lambda: succeed(None).addCallback(lambda _: waiting))
        self.assertEqual(self.handled, [])
        self.clock.advance(2.0)
        waiting.callback(None)
        self.assertEqual(self.handled, [("nats:a", 2.0, 1)])

    def test_both_kinds(self) -> None:
        """Calls of both kinds are told apart, and each is counted once."""
        waiting: list[Deferred[None]] = []
        for number in range(100):
            result = None
            if number % 3 == 0:
                waiting.append(Deferred())
                result = waiting[-1]
            self.call(0.0, result)
            if number % 7 == 0:
                self.clock.advance(INTERVAL)
            if len(waiting) > 5:
                waiting.pop(0).callback(None)
        for one in waiting:
            one.callback(None)
        self.times.settle()
        self.assertEqual(self.count(), 100)
        self.assertEqual(self.calls.counters.in_progress, 0)

    def test_cancelled_at_a_stop(self) -> None:
        """It has ended, after that time."""
        self.call(0.0, Deferred)
        self.clock.advance(2.0)
        self.in_flight.stop()
        self.assertEqual(self.handled, [("nats:a", 2.0, 1)])


class SeveralTests(HandlingTimesCase):
    """Several routes, and several calls of the same counters."""

    def test_each_route_for_itself(self) -> None:
        other = self.new_calls("nats:b")
        for _ in range(10):
            self.call(0.1)
            self.call(0.2, calls=other)
        self.times.settle()
        self.assertEqual(
            sorted(self.handled), [("nats:a", 0.1, 1), ("nats:a", 0.1, 9), ("nats:b", 0.2, 1), ("nats:b", 0.2, 9)]
        )

    def test_many_routes(self) -> None:
        """The number that is measured in one interval is bounded, and each route has its turn."""
        routes = [self.new_calls(f"nats:{number}") for number in range(3 * MAX_ROUTES)]
        for calls in routes:
            self.call(calls=calls)
        for part in range(3):
            self.handled.clear()
            self.clock.advance(INTERVAL)
            for calls in routes:
                self.call(calls=calls)
            names = [f"nats:{number}" for number in range(part * MAX_ROUTES, (part + 1) * MAX_ROUTES)]
            self.assertEqual([name for name, _, _ in self.handled], names)

    def test_same_counters(self) -> None:
        """As a route with a key has, and code that was loaded anew: nothing is counted twice."""
        again = Calls(self.route, self.calls.counters, self.in_flight)
        for _ in range(10):
            self.call(0.1)
            self.call(0.2, calls=again)
            self.clock.advance(INTERVAL / 3)
        self.times.settle()
        self.assertEqual(self.count(), 20)

    def test_limited_calls(self) -> None:
        """Those with a key and those with several at once are measured in the same way."""
        keyed = KeyedCalls(
            self.route, RouteCounters("nats:k"), self.in_flight, lambda event: 1, 2, self.new_calls("nats:k")
        )
        for calls in (ParallelCalls(self.route, RouteCounters("nats:p"), self.in_flight, 2), keyed):
            self.handled.clear()
            waiting: Deferred[None] = Deferred()
            self.call(0.0, waiting, calls)
            self.clock.advance(INTERVAL)
            self.call(0.5, None, calls)
            self.clock.advance(2.0)
            waiting.callback(None)
            self.times.settle()
            self.assertEqual(self.count(), 2, calls)


class StopTests(HandlingTimesCase):
    """The end of a service, and its next start."""

    def test_stop(self) -> None:
        """Nothing is left in the reactor; the next call is measured."""
        self.call()
        self.times.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.call(0.5)
        self.assertEqual(self.handled[-1], ("nats:a", 0.5, 1))

    def test_stop_without_calls(self) -> None:
        self.times.stop()
        self.times.stop()

    def test_off(self) -> None:
        """Without it, the function of the route is what is called."""
        calls = Calls(self.route, RouteCounters("nats:a"), CallsInFlight(self.clock))
        self.assertEqual(calls.function, self.route)
        self.call(calls=calls)
        self.assertEqual((calls.function, self.handled), (self.route, []))

    def test_between_measurements(self) -> None:
        """The function is replaced for one call only."""
        self.call()
        self.assertEqual(self.calls.function, self.route)
        self.clock.advance(INTERVAL)
        self.assertNotEqual(self.calls.function, self.route)
