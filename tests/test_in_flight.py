"""natsroute.routes.in_flight"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed

from natsroute import Event
from natsroute.client.subscription import PendingLimits, Subscription
from natsroute.turns import SharedTurns
from tests.support.route_cases import CallsTestCase, an_event

variable: ContextVar[str] = ContextVar("variable", default="unset")


class SlowCallsTests(CallsTestCase):
    """A call that does not end is logged."""

    def test_a_call_that_never_ends(self) -> None:
        """Once, however long it takes; each call has its own time."""
        for start in (0, 20):
            self.clock.advance(start)
            self.call(lambda event: Deferred(), an_event(subject=f"s{start}"))
        self.clock.advance(9)
        self.assertEqual(self.log.matching("still running"), [])
        self.clock.advance(1)
        line = "Event route nats:a.* is still running after 30 s on a message to 's0'"
        self.assertEqual(self.log.matching("still running"), [line])
        self.clock.pump([10.0] * 100)
        self.assertEqual(len(self.log.matching("still running")), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_call_that_ends_in_time(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.call(lambda event: waiting, an_event())
        self.clock.advance(29)
        waiting.callback(None)
        self.clock.advance(100)
        self.assertEqual(self.log.matching("still running"), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class QueueTests(CallsTestCase):
    """Events that wait behind a running call."""

    def test_waiting(self) -> None:
        """The queues are asked each time."""
        first, second = [an_event(subject="a.1")], [an_event(subject="a.2")]
        for queue in (first, second):
            self.in_flight.add_queue(queue.copy)
        self.assertEqual(self.in_flight.waiting, [*first, *second])
        self.assertEqual((self.in_flight.idle, self.in_flight.unfinished), (False, ["a.1", "a.2"]))
        first.clear()
        second.clear()
        self.assertEqual((self.in_flight.idle, self.in_flight.unfinished), (True, []))

    def test_running(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.call(lambda event: waiting, an_event(subject="a.1"))
        self.assertEqual((self.in_flight.idle, self.in_flight.unfinished), (False, ["a.1"]))
        waiting.callback(None)
        self.assertEqual((self.in_flight.idle, self.in_flight.unfinished), (True, []))


class ContextTests(CallsTestCase):
    """contextvars: a call does not run in the context of whatever ended the one before."""

    def subscription(self, *functions: Any) -> Subscription:
        """One whose messages are for these functions, one after the other."""
        left = list(functions)
        owner: Any = SimpleNamespace(clock=self.clock, turns=SharedTurns(self.clock))
        return Subscription(owner, 1, "a.*", None, lambda event: self.call(left.pop(0), event), PendingLimits())

    def test_the_next_call(self) -> None:
        """Its message waits in the subscription."""
        waiting: Deferred[None] = Deferred()
        seen: list[str] = []

        def route(event: Event) -> None:
            seen.append(variable.get())

        async def async_route(event: Event) -> None:
            seen.append(variable.get())

        subscription = self.subscription(lambda event: waiting, route, async_route)
        for _ in range(3):
            subscription.deliver(an_event())

        def fire() -> None:
            variable.set("of another call")
            waiting.callback(None)

        copy_context().run(fire)
        self.assertEqual(seen, ["unset", "unset"])

    def test_a_coroutine(self) -> None:
        """It has a context of its own, whatever the current one is."""
        seen: list[str] = []

        async def route(event: Event) -> None:
            seen.append(variable.get())
            variable.set("of a call")

        def call() -> None:
            variable.set("of the caller")
            self.call(route, an_event())
            self.call(route, an_event())

        copy_context().run(call)
        self.assertEqual(seen, ["unset", "unset"])

    def test_after_a_stop(self) -> None:
        seen: list[str] = []
        ended = self.call(lambda event: Deferred(), an_event())
        assert ended is not None
        self.in_flight.stop()
        ended.addCallback(lambda _: seen.append(variable.get()))

        def start() -> None:
            variable.set("of another")
            self.in_flight.start()

        copy_context().run(start)
        self.assertEqual(seen, ["unset"])

    def test_calls_inside_each_other(self) -> None:
        """A call that follows another one ends a third, which another one follows: each has a context of its own."""
        first: Deferred[None] = Deferred()
        third: Deferred[None] = Deferred()
        seen: list[str] = []

        def route(event: Event) -> None:
            seen.append(variable.get())
            variable.set("of another call")
            if not third.called:
                third.callback(None)
            seen.append(variable.get())

        for waiting in (first, third):
            subscription = self.subscription(lambda event, waiting=waiting: waiting, route)
            for _ in range(2):
                subscription.deliver(an_event())
        first.callback(None)
        self.assertEqual(seen, ["unset", "unset", "of another call", "of another call"])


class StopTests(CallsTestCase):
    """stop() cancels what is running; what waits behind it may begin after start()."""

    def test_cancelled(self) -> None:
        """Deferreds and coroutines: each counts as failed. They are not logged here, because the service logs them."""
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

    def test_a_call_that_is_cancelled_again(self) -> None:
        """Its Deferred has ended. Nothing follows it all the same."""
        waiting: Deferred[None] = Deferred()
        ended = self.call(lambda event: waiting, an_event())
        self.in_flight.stop()
        waiting.cancel()
        assert ended is not None
        self.assertNoResult(ended)
        self.in_flight.start()
        self.successResultOf(ended)

    def test_a_call_that_ends_at_once(self) -> None:
        """After stop() too, nothing waits for it."""
        self.in_flight.stop()
        for result in (None, succeed(None)):
            self.assertIs(self.call(lambda event, result=result: result, an_event()), None)

    def test_a_start_in_turns(self) -> None:
        """What follows the calls begins in their order, a few milliseconds of it in each turn of the reactor."""
        followed: list[int] = []

        def follow(_: object, number: int) -> None:
            followed.append(number)
            self.clock.rightNow += 0.001

        for number in range(20):
            waiting = self.call(lambda event: Deferred(), an_event())
            assert waiting is not None
            waiting.addCallback(follow, number)
        self.in_flight.stop()
        order = list(followed)
        self.in_flight.start()
        self.assertEqual((order, 4 <= len(followed) <= 7), ([], True))
        self.in_flight.stop()
        self.clock.advance(0)
        self.assertLessEqual(len(followed), 7)
        self.in_flight.start()
        self.clock.pump([0.0] * 10)
        self.assertEqual(sorted(followed), list(range(20)))

    def test_no_timer_is_left(self) -> None:
        self.call(lambda event: Deferred(), an_event())
        self.in_flight.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_futures(self) -> None:
        """A Future that a route waits for is cancelled too. asyncio reports that later, in its loop."""
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

    def test_a_call_that_ignores_its_cancelling(self) -> None:
        """It stays in progress, is not cancelled again, and its end counts."""
        go_on: Deferred[None] = Deferred()
        cancelled: list[str] = []

        async def stubborn(event: Event) -> None:
            try:
                await Deferred()
            except CancelledError:
                cancelled.append("cancelled")
                await go_on

        self.call(stubborn, an_event())
        self.in_flight.stop()
        self.in_flight.stop()
        self.assertEqual((cancelled, self.counts()), (["cancelled"], (0, 0, 1)))
        go_on.callback(None)
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_a_call_that_fails_with_another_error(self) -> None:
        """The error is logged like any other."""

        async def clumsy(event: Event) -> None:
            try:
                await Deferred()
            finally:
                raise ZeroDivisionError

        self.call(clumsy, an_event())
        self.in_flight.stop()
        self.assertEqual((self.counts(), len(self.flushLoggedErrors(ZeroDivisionError))), ((0, 1, 0), 1))

    def test_a_canceller_that_raises(self) -> None:
        """The other calls are cancelled all the same."""

        def refuse(deferred: object) -> None:
            raise ZeroDivisionError

        for _ in range(2):
            self.call(lambda event: Deferred(refuse), an_event())
        self.call(lambda event: Deferred(), an_event())
        self.in_flight.stop()
        self.assertEqual((self.counts(), len(self.flushLoggedErrors(ZeroDivisionError))), ((0, 1, 2), 2))

    def test_some_calls(self) -> None:
        """Only those end, and others may follow."""
        ended = [self.call(lambda event: Deferred(), an_event(b"%d" % number)) for number in range(2)]
        [call] = [call for call in self.in_flight.running if call.event.data == b"0"]
        for _ in range(2):
            self.in_flight.cancel([call])
        self.successResultOf(ended[0])  # type: ignore[arg-type]
        self.assertEqual((self.counts(), self.in_flight.stopped, self.log.lines()), ((0, 1, 1), False, []))
