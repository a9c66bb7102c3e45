"""natsroute.routes.middleware.retry"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from natsroute import Event, EventRoutes
from natsroute.errors import DecodeError, MisuseError, Reject, RouteError, RouteTimeoutError
from natsroute.middleware import retry, timeout
from natsroute.testing import RouteTester
from tests.support.log_recorder import LogRecorder
from tests.support.route_cases import MiddlewareTestCase, an_event


class RetryTests(MiddlewareTestCase):
    """retries="""

    def test_until_it_succeeds(self) -> None:
        """Each wait is twice as long as the one before; each retry is counted, and logged in one line."""
        log = LogRecorder(self)
        self.results = [ValueError("one"), fail(ValueError("two")), succeed(5)]
        tester = self.make(retries=3)
        ended = tester.deliver("a")
        tester.clock.advance(0.1)
        self.assertEqual(len(self.events), 2)
        tester.clock.advance(0.1)
        self.assertEqual(len(self.events), 2)
        tester.clock.advance(0.1)
        self.assertEqual(self.successResultOf(ended), 5)
        self.assertEqual((self.events[-1].attempts, self.counters.retried), (3, 2))
        self.assertEqual(
            log.lines("warn"),
            [
                "Event route nats:a: attempt 1 on a message to 'a' failed: ValueError: one; retrying in 0.1 s",
                "Event route nats:a: attempt 2 on a message to 'a' failed: ValueError: two; retrying in 0.2 s",
            ],
        )

    def test_all_attempts_fail(self) -> None:
        """The call fails with the last error."""
        self.results = [ValueError("1"), ValueError("2"), ValueError("3")]
        tester = self.make(retries=2)
        ended = tester.deliver("a")
        tester.clock.pump([0.1] * 10)
        self.assertEqual(str(self.failureResultOf(ended, ValueError).value), "3")
        self.assertEqual(len(self.events), 3)

    def test_waits_are_bounded(self) -> None:
        self.results = [ValueError()] * 20
        tester = self.make(retry(19, wait=1.0, max_wait=4.0))
        ended = tester.deliver("a")
        tester.clock.pump([1.0] * (1 + 2 + 4 * 17))
        self.failureResultOf(ended, ValueError)

    def test_what_is_not_retried(self) -> None:
        """A payload that is not JSON, and a call that was cancelled from outside."""
        self.results = [DecodeError("not JSON"), Deferred()]
        tester = self.make(retries=3)
        self.failureResultOf(tester.deliver("a"), DecodeError)
        ended = tester.deliver("a")
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assertEqual((len(self.events), tester.clock.getDelayedCalls()), (2, []))

    def test_a_rejected_message_is_not_retried(self) -> None:
        """It has its dead letter at once."""
        self.results = [Reject("no such account")]
        tester = self.make(retries=3, dead_letter="dead")
        self.failureResultOf(tester.deliver("a"), Reject)
        self.assertEqual((len(self.events), tester.clock.getDelayedCalls()), (1, []))
        [letter] = tester.published
        self.assertEqual(letter.headers["Natsroute-Error"], "Reject: no such account")

    def test_mistakes_are_not_retried(self) -> None:
        """They cannot get better: an answer without a reply subject, what is invalid in a message, a wrong result."""
        routes: list[Callable[[Event], object]] = [
            lambda event: event.respond(b""),
            lambda event: event.publish("a b", b""),
            lambda event: event.publish("a", object()),
            lambda event: event.publish("a", b"", headers={"a:b": "c"}),
            lambda event: (number for number in [1]),
        ]
        for route in routes:
            called: list[Event] = []
            event_route = EventRoutes()

            @event_route("nats:a", retries=3)
            def counted(event: Event, called: list[Event] = called, route: Any = route) -> object:
                called.append(event)
                return route(event)

            tester = RouteTester(event_route)
            self.failureResultOf(tester.deliver("a"), MisuseError)
            self.assertEqual((len(called), tester.clock.getDelayedCalls()), (1, []))

    def test_cancelled_by_the_route(self) -> None:
        """The route itself cancelled what it waits for: that is an error like any other, also asyncio's."""

        async def waiting() -> None:
            inner: Deferred[None] = Deferred()
            inner.cancel()
            await inner

        for own in (
            waiting(),
            CancelledError(),
            asyncio.CancelledError(),
            fail(asyncio.CancelledError()),
            GeneratorExit(),
            SystemExit(1),
        ):
            self.results = [own, succeed(5)]
            tester = self.make(retries=1)
            ended = tester.deliver("a")
            tester.clock.advance(0.1)
            self.assertEqual(self.successResultOf(ended), 5)
            self.assertEqual((self.events[-1].attempts, self.counters.retried), (2, 1))

    def assert_no_retry(self, tester: RouteTester) -> None:
        """The first call was the last, and there is no dead letter."""
        self.assertEqual((len(self.events), tester.clock.getDelayedCalls(), tester.published), (1, [], []))

    def test_cancelled_while_it_waits(self) -> None:
        """No further attempt follows."""
        self.results = [ValueError()]
        tester = self.make(retries=3, dead_letter="dead")
        ended = tester.deliver("a")
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assert_no_retry(tester)

    def test_cancelled_with_another_error(self) -> None:
        """A cancelled call may fail with any error; it is not retried."""

        async def failing() -> None:
            try:
                await Deferred()
            except CancelledError:
                raise ValueError from None

        self.results = [failing()]
        tester = self.make(retries=3, dead_letter="dead")
        ended = tester.deliver("a")
        ended.cancel()
        self.failureResultOf(ended, ValueError)
        self.assert_no_retry(tester)

    def test_a_call_that_ignores_its_cancelling(self) -> None:
        """Its result still counts."""
        go_on: Deferred[int] = Deferred()

        async def stubborn() -> int:
            try:
                await Deferred()
            except CancelledError:
                pass
            return await go_on

        self.results = [stubborn()]
        ended = self.make(retries=3, dead_letter="dead").deliver("a")
        ended.cancel()
        self.assertNoResult(ended)
        go_on.callback(5)
        self.assertEqual(self.successResultOf(ended), 5)

    def test_within_a_timeout(self) -> None:
        """A timeout around all attempts ends them. The dead letter is outside of it."""
        self.results = [Deferred()]
        tester = self.make(timeout(5.0), retries=3, dead_letter="dead")
        ended = tester.deliver("a")
        tester.clock.advance(5)
        self.failureResultOf(ended, RouteTimeoutError)
        self.assertEqual((len(self.events), tester.clock.getDelayedCalls(), len(tester.published)), (1, [], 1))

    def test_after_a_timeout(self) -> None:
        """Each attempt has its own timeout."""
        self.results = [Deferred(), succeed(None)]
        tester = self.make(retries=1, timeout=5.0)
        ended = tester.deliver("a")
        tester.clock.advance(5)
        tester.clock.advance(0.1)
        self.successResultOf(ended)

    def test_sys_exit(self) -> None:
        """Without an error code it ends the call, which has not failed."""
        self.results = [SystemExit(), SystemExit(0)]
        tester = self.make(retries=3, dead_letter="dead")
        self.failureResultOf(tester.deliver("a"), SystemExit)
        self.assert_no_retry(tester)

    def test_an_error_without_a_text(self) -> None:
        """The log names its type."""

        class NoTextError(Exception):
            def __str__(self) -> str:
                raise ZeroDivisionError

        log = LogRecorder(self)
        self.results = [NoTextError()]
        self.make(retries=1).deliver("a")
        [line] = log.lines("warn")
        self.assertIn("attempt 1 on a message to 'a' failed: NoTextError; retrying in 0.1 s", line)

    def test_a_coroutine_that_nobody_holds(self) -> None:
        """Python closes it. That is not an error of the call, which is not repeated."""
        running: Deferred[None] = Deferred()
        self.results = [running]
        call: Any = retry(3)(self.route)(an_event())
        call.send(None)
        call.close()
        self.assertEqual(len(self.events), 1)

    def test_arguments(self) -> None:
        """Each mistake is named."""
        for arguments, problem in [
            ((0,), "retries = 0; it must be an integer of at least 1"),
            ((1.5,), "retries = 1.5; it must be an integer of at least 1"),
            ((True,), "retries = True; it must be an integer of at least 1"),
            ((1, -1), "wait = -1; it must be a number above 0"),
            ((1, 1.0, 0), "max_wait = 0; it must be a number above 0"),
        ]:
            self.assertEqual(str(self.assertRaises(RouteError, retry, *arguments)), problem)
