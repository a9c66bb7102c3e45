"""natsroute.routes.calls"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.errors import DecodeError
from natsroute.ledger import RouteCounters
from natsroute.routes.calls import Calls, CallsInFlight
from natsroute.routes.event import EventContext
from natsroute.wire.frames import Address
from tests.support.cases import LogRecorder


def an_event(data: bytes = b"", subject: str = "a.b") -> Event:
    context = EventContext(lambda *message, **how: succeed(None), Clock(), RouteCounters("nats:a.*"))
    return Event.within(context, Address(subject, 1), data)


class CallsTestCase(SynchronousTestCase):
    """Calls of any function, on a clock that the test moves."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.in_flight = CallsInFlight(self.clock, slow_after=30.0)
        self.counters = RouteCounters("nats:a.*")
        self.log = LogRecorder(self)

    def call(self, function: Any, event: Event) -> Deferred[None] | None:
        self.counters.routed += 1
        return Calls(function, self.counters, self.in_flight).call(event)

    def counts(self) -> tuple[int, int, int]:
        self.assertEqual(self.counters.in_progress, len(self.in_flight.running))
        return self.counters.succeeded, self.counters.failed, self.counters.in_progress


class CallsTests(CallsTestCase):
    """Functions, coroutines and Deferreds; errors and calls that never end."""

    def test_a_function(self) -> None:
        """Whatever it returns: Kamailio's callbacks return 1."""
        for value in (None, 1, "x", False):
            self.assertIs(self.call(lambda event, value=value: value, an_event()), None)
        self.assertEqual(self.counts(), (4, 0, 0))

    def test_a_deferred(self) -> None:
        waiting: Deferred[int] = Deferred()
        ended = self.call(lambda event: waiting, an_event())
        assert ended is not None
        self.assertEqual(self.counts(), (0, 0, 1))
        waiting.callback(5)
        self.assertIs(self.successResultOf(ended), None)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_a_deferred_that_has_fired(self) -> None:
        self.assertIs(self.call(lambda event: succeed(1), an_event()), None)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_a_coroutine(self) -> None:
        waiting: Deferred[None] = Deferred()

        async def route(event: Event) -> None:
            await waiting

        ended = self.call(route, an_event())
        assert ended is not None
        self.assertNoResult(ended)
        waiting.callback(None)
        self.successResultOf(ended)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_a_coroutine_that_waits_for_nothing(self) -> None:
        async def route(event: Event) -> None:
            pass

        self.assertIs(self.call(route, an_event()), None)

    def test_errors(self) -> None:
        """Logged with route, subject and traceback, however they come; the caller never sees them."""

        def raising(event: Event) -> None:
            raise ZeroDivisionError("here")

        async def raising_later(event: Event) -> None:
            raise ZeroDivisionError("here")

        routes: list[Any] = [raising, raising_later, lambda event: fail(ZeroDivisionError("here"))]
        for route in routes:
            self.assertIs(self.call(route, an_event()), None)
        self.assertEqual(self.counts(), (0, 3, 0))
        failures = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(len(failures), 3)
        self.assertIn("raising", failures[0].getTraceback())
        self.assertEqual(self.log.lines("critical"), ["Event route nats:a.* failed on a message to 'a.b'"] * 3)

    def test_sys_exit(self) -> None:
        """It ends the route, not the service."""
        self.assertIs(self.call(lambda event: sys.exit(1), an_event()), None)
        self.assertEqual((self.counters.failed, len(self.flushLoggedErrors(SystemExit))), (1, 1))

    def test_cancelled_errors(self) -> None:
        """What a route raises itself is its error, asyncio's too, which is no Exception."""
        for error in (CancelledError, asyncio.CancelledError):

            def raising(event: Event, error: type[BaseException] = error) -> None:
                raise error

            async def raising_later(event: Event, error: type[BaseException] = error) -> None:
                raise error

            routes: list[Any] = [raising, raising_later, lambda event, error=error: fail(error())]
            for route in routes:
                self.assertIs(self.call(route, an_event()), None)
            self.assertEqual(len(self.flushLoggedErrors(error)), 3)
        self.assertEqual(self.counts(), (0, 6, 0))

    def test_a_payload_that_is_not_json(self) -> None:
        """One clear line without a traceback, for the code is not at fault."""
        self.call(lambda event: event.json(), an_event(b"{"))
        self.assertEqual(self.flushLoggedErrors(DecodeError), [])
        [line] = self.log.lines("error")
        self.assertIn("Event route nats:a.* failed on a message to 'a.b': the payload on a.b is not JSON", line)

    def test_a_call_that_never_ends(self) -> None:
        """One line, once, however long it takes; calls that came later have their own time."""
        for start in (0, 20):
            self.clock.advance(start)
            self.call(lambda event: Deferred(), an_event(subject=f"s{start}"))
        self.clock.advance(9)
        self.assertEqual(self.log.matching("has not ended"), [])
        self.clock.advance(1)
        self.assertEqual(
            self.log.matching("has not ended"), ["Event route nats:a.* has not ended for 30 s on a message to 's0'"]
        )
        self.clock.pump([10.0] * 100)
        self.assertEqual(len(self.log.matching("has not ended")), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_call_that_ends_in_time(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.call(lambda event: waiting, an_event())
        self.clock.advance(29)
        waiting.callback(None)
        self.clock.advance(100)
        self.assertEqual(self.log.matching("has not ended"), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StopTests(CallsTestCase):
    """CallsInFlight.stop(): what runs is cancelled, and what comes behind it waits for start()."""

    def test_cancelled(self) -> None:
        """Deferreds and coroutines: each counts as failed, and none is logged: who stops names them all."""
        cancelled: list[object] = []

        async def route(event: Event) -> None:
            await Deferred(cancelled.append)

        waits = [self.call(route, an_event()), self.call(lambda event: Deferred(cancelled.append), an_event())]
        self.in_flight.stop()
        self.assertEqual((len(cancelled), self.counts()), (2, (0, 2, 0)))
        self.assertEqual((self.log.lines("critical"), self.log.lines("error")), ([], []))
        for wait in waits:
            assert wait is not None
            self.assertNoResult(wait)
        self.in_flight.start()
        for wait in waits:
            assert wait is not None
            self.assertIs(self.successResultOf(wait), None)

    def test_the_watch_ends(self) -> None:
        self.call(lambda event: Deferred(), an_event())
        self.in_flight.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_futures(self) -> None:
        """A Future that a route waits for is cancelled too, and says so later, in asyncio's way."""
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        future = loop.create_future()

        async def route(event: Event) -> None:
            await Deferred.fromFuture(future)

        self.call(route, an_event())
        self.in_flight.stop()
        self.assertTrue(future.cancelled())
        loop.call_soon(loop.stop)
        loop.run_forever()
        self.assertEqual((self.counts(), self.log.lines("critical")), ((0, 1, 0), []))

    def test_one_that_goes_on(self) -> None:
        """It stays in progress, is not cancelled again, and counts as what it comes to."""
        go_on: Deferred[None] = Deferred()
        asked: list[str] = []

        async def stubborn(event: Event) -> None:
            try:
                await Deferred()
            except CancelledError:
                asked.append("cancelled")
                await go_on

        self.call(stubborn, an_event())
        self.in_flight.stop()
        self.in_flight.stop()
        self.assertEqual((asked, self.counts()), (["cancelled"], (0, 0, 1)))
        go_on.callback(None)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_one_that_fails_otherwise(self) -> None:
        """An error of its own is logged as any other."""

        async def clumsy(event: Event) -> None:
            try:
                await Deferred()
            finally:
                raise ZeroDivisionError

        self.call(clumsy, an_event())
        self.in_flight.stop()
        self.assertEqual((self.counts(), len(self.flushLoggedErrors(ZeroDivisionError))), ((0, 1, 0), 1))

    def test_one_that_cannot_be_cancelled(self) -> None:
        """A canceller that raises keeps nobody from being cancelled."""

        def refuse(deferred: object) -> None:
            raise ZeroDivisionError

        for _ in range(2):
            self.call(lambda event: Deferred(refuse), an_event())
        self.call(lambda event: Deferred(), an_event())
        self.in_flight.stop()
        self.assertEqual((self.counts(), len(self.flushLoggedErrors(ZeroDivisionError))), ((0, 1, 2), 2))
