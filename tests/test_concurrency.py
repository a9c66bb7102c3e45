"""natsroute.routes.concurrency"""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.ledger import RouteCounters
from natsroute.routes.calls import Calls, CallsInFlight
from natsroute.routes.concurrency import BACKLOG_PER_KEY, Lane, open_lane
from natsroute.routes.event import EventContext
from natsroute.routes.table import Route
from natsroute.wire.frames import Address


class LaneTestCase(SynchronousTestCase):
    """A route whose calls end when the test says so."""

    def setUp(self) -> None:
        self.in_flight = CallsInFlight(Clock())
        self.counters = RouteCounters("nats:a")
        self.started: list[bytes] = []
        self.running: dict[bytes, Deferred[None]] = {}
        self.context = EventContext(lambda *message, **how: Deferred(), Clock(), self.counters)

    def route(self, event: Event) -> Deferred[None]:
        self.started.append(event.data)
        self.running[event.data] = Deferred()
        return self.running[event.data]

    def lane(self, **options: Any) -> Lane:
        return self.lane_of(Route("nats:a", self.route, **options))

    def lane_of(self, route: Route) -> Lane:
        return open_lane(route, Calls(route.function, self.counters, self.in_flight))

    def take(self, lane: Lane, data: bytes) -> Deferred[None] | None:
        self.counters.routed += 1
        return lane(Event.within(self.context, Address("a", 1), data))

    def end(self, data: bytes) -> None:
        self.running.pop(data).callback(None)


class SerialTests(LaneTestCase):
    """One message after the other."""

    def test_the_next_may_come_when_this_has_ended(self) -> None:
        busy = self.take(self.lane(), b"1")
        assert busy is not None
        self.assertNoResult(busy)
        self.end(b"1")
        self.successResultOf(busy)


class ParallelTests(LaneTestCase):
    """concurrency=N"""

    def test_so_many_at_once(self) -> None:
        lane = self.lane(concurrency=3)
        self.assertEqual([self.take(lane, b"1"), self.take(lane, b"2")], [None, None])
        full = self.take(lane, b"3")
        assert full is not None
        self.assertEqual(self.started, [b"1", b"2", b"3"])
        self.assertNoResult(full)
        self.end(b"2")
        self.successResultOf(full)
        full = self.take(lane, b"4")
        assert full is not None
        self.end(b"1")
        self.successResultOf(full)
        self.end(b"3")
        self.end(b"4")
        self.assertEqual((self.counters.succeeded, self.counters.in_progress, len(self.in_flight.running)), (4, 0, 0))


class KeyedTests(LaneTestCase):
    """key=: in order for each key, parallel across keys"""

    def keyed(self, concurrency: int = 2) -> Lane:
        return self.lane(key=lambda event: event.data[:1], concurrency=concurrency)

    def test_order_for_each_key(self) -> None:
        lane = self.keyed(concurrency=3)
        for data in (b"a1", b"a2", b"b1", b"a3"):
            self.assertIs(self.take(lane, data), None)
        self.assertEqual(self.started, [b"a1", b"b1"])
        self.end(b"a1")
        self.assertEqual(self.started, [b"a1", b"b1", b"a2"])
        self.end(b"b1")
        self.end(b"a2")
        self.end(b"a3")
        self.assertEqual(self.started, [b"a1", b"b1", b"a2", b"a3"])

    def test_so_many_keys_at_once(self) -> None:
        lane = self.keyed()
        self.assertIs(self.take(lane, b"a1"), None)
        full = self.take(lane, b"b1")
        assert full is not None
        self.end(b"a1")
        self.successResultOf(full)
        self.assertIsNot(self.take(lane, b"c1"), None)
        self.assertEqual(self.started, [b"a1", b"b1", b"c1"])

    def test_a_busy_key_does_not_queue_without_bound(self) -> None:
        lane = self.keyed()
        taken = [self.take(lane, b"a%d" % number) for number in range(1 + 2 * BACKLOG_PER_KEY)]
        self.assertEqual(taken[:-1], [None] * (2 * BACKLOG_PER_KEY))
        full = taken[-1]
        assert full is not None
        self.assertNoResult(full)
        self.end(b"a0")
        self.successResultOf(full)

    def test_keys_are_forgotten(self) -> None:
        """However many keys there are, only those that run are kept."""
        lane: Any = self.keyed()
        for number in range(1000):
            data = b"%c%d" % (number % 256, number)
            self.take(lane, data)
            self.end(data)
        self.assertEqual(lane.__self__._behind, {})

    def test_quick_calls_behind_a_slow_one(self) -> None:
        """They run at once when their turn comes, without growing the stack."""
        quick: list[bytes] = []

        def route(event: Event) -> Deferred[None] | None:
            quick.append(event.data)
            return self.route(event) if event.data == b"a0" else None

        made = Route("nats:a", route, 1000, lambda event: event.data[:1])
        lane = self.lane_of(made)
        for number in range(1000):
            self.take(lane, b"a%d" % number)
        self.assertEqual(quick, [b"a0"])
        self.end(b"a0")
        self.assertEqual(quick, [b"a%d" % number for number in range(1000)])

    def test_what_is_not_finished(self) -> None:
        """Running, and waiting behind it."""
        lane = self.lane(key=lambda event: event.data[:1])
        self.assertTrue(self.in_flight.idle)
        for data in (b"a1", b"a2", b"b1"):
            self.take(lane, data)
        self.assertEqual((self.in_flight.idle, self.in_flight.unfinished), (False, ["a"] * 3))
        self.end(b"a1")
        self.assertEqual(
            (len(self.in_flight.waiting), len(self.in_flight.running), self.counters.in_progress), (0, 2, 2)
        )
        self.end(b"a2")
        self.end(b"b1")
        self.assertEqual((self.in_flight.idle, self.in_flight.unfinished), (True, []))

    def test_a_key_that_cannot_be_had(self) -> None:
        """The message fails and the next goes on: key= may raise, look at a cancelled Future, or give a list."""
        cancelled: asyncio.Future[str] = asyncio.Future(loop=asyncio.new_event_loop())
        self.addCleanup(cancelled.get_loop().close)
        cancelled.cancel()
        for key in (lambda event: 1 // 0, lambda event: cancelled.result(), lambda event: []):
            lane = self.lane(key=key)
            self.assertIs(self.take(lane, b"x"), None)
        self.assertEqual((self.started, self.counters.failed), ([], 3))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, asyncio.CancelledError, TypeError)), 3)


class StopTests(LaneTestCase):
    """A call that is cancelled at the end makes room for nobody, until there is a new beginning."""

    def test_nothing_follows(self) -> None:
        for options in ({}, {"concurrency": 1, "key": lambda event: 1}, {"concurrency": 2}):
            lane = self.lane(**options)
            self.started.clear()
            rooms = [self.take(lane, b"%d" % number) for number in range(2)]
            begun, waiting = list(self.started), self.counters.waiting
            self.in_flight.stop()
            self.assertEqual(
                (self.started, self.counters.waiting, self.counters.in_progress), (begun, waiting, 0), options
            )
            room = rooms[-1]
            assert room is not None
            self.assertNoResult(room)
            self.in_flight.start()
            self.assertEqual(self.started, [b"0", b"1"], options)
            if "key" in options:
                self.end(b"1")
            self.successResultOf(room)
