"""natsroute.routes.middleware, through the tester that users have: it runs it as production does."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Hashable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import DecodeError, PayloadTooLargeError, PublishBufferFullError, RouteError, RouteTimeoutError
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext, Middleware, RouteFunction
from natsroute.routes.middleware import (
    DEAD_LETTER_HEADERS,
    correlation,
    dead_letter,
    deduplicate,
    retry,
    throttle,
)
from natsroute.routes.middleware import timeout as timeout_of
from natsroute.testing import Published, RouteTester
from natsroute.wire.frames import Address
from tests.support.cases import LogRecorder


class MiddlewareTestCase(SynchronousTestCase):
    """A route nats:a, whose calls are kept."""

    def setUp(self) -> None:
        self.events: list[Event] = []
        self.answers: list[Any] = []

    def route(self, event: Event) -> Any:
        """Gives, or raises, what the test has prepared; None if it has prepared nothing."""
        self.events.append(event)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def make(self, *middleware: Middleware, **options: Any) -> RouteTester:
        event_route = EventRoutes(middleware=options.pop("middleware_of_all", ()))
        event_route("nats:a", middleware=middleware, **options)(self.route)
        event_route("nats:connected", **options)(self.route)
        return RouteTester(event_route)

    @property
    def counters(self) -> RouteCounters:
        return self.events[-1].counters


class OrderTests(MiddlewareTestCase):
    """Around every route of a collection, around one, and the options innermost."""

    def test_the_first_is_the_outermost(self) -> None:
        said: list[str] = []

        def saying(name: str) -> Middleware:
            def around(function: RouteFunction) -> RouteFunction:
                def saying_so(event: Event) -> object:
                    said.append(name)
                    return function(event)

                return saying_so

            return around

        event_route = EventRoutes(middleware=[saying("1"), saying("2")])
        event_route("nats:a", middleware=[saying("3")], retries=1)(lambda event: said.append(f"try {event.attempts}"))
        event_route("nats:b")(lambda event: said.append("b"))
        tester = RouteTester(event_route)
        self.successResultOf(tester.deliver("a"))
        self.successResultOf(tester.deliver("b"))
        self.assertEqual(said, ["1", "2", "3", "try 1", "1", "2", "b"])

    def test_around_a_thread(self) -> None:
        """The function in the thread, the middleware on the reactor."""
        self.answers = [ValueError(), succeed(5)]
        tester = self.make(thread=True, retries=1)
        ended = tester.deliver("a")
        tester.clock.advance(1)
        self.assertEqual(self.successResultOf(ended), 5)

    def test_what_cannot_be(self) -> None:
        """Each mistake names the route."""
        for options in (
            {"timeout": 0},
            {"timeout": "1"},
            {"retries": -1},
            {"retries": 1.5},
            {"dead_letter": "a b"},
            {"dead_letter": "x.*"},
            {"dead_letter": "a"},
        ):
            error = self.assertRaises(RouteError, EventRoutes(), "nats:a", **options)
            self.assertIn("event route 'nats:a'", str(error))
        misused: list[Any] = [
            deduplicate,
            correlation,
            timeout_of,
            retry,
            throttle,
            dead_letter,
            5,
            lambda function: None,
        ]
        for middleware in misused:
            error = self.assertRaises(RouteError, EventRoutes()("nats:a", middleware=[middleware]), self.route)
            self.assertIn("event route 'nats:a'", str(error))
        for make in (lambda: throttle(0), lambda: deduplicate(seconds=0), lambda: retry(1, wait=-1)):
            self.assertRaises(RouteError, make)


class TimeoutTests(MiddlewareTestCase):
    """timeout="""

    def test_a_deferred_is_cancelled(self) -> None:
        cancelled: list[object] = []
        self.answers = [Deferred(cancelled.append)]
        tester = self.make(timeout=2.0)
        ended = tester.deliver("a")
        tester.clock.advance(1.9)
        self.assertNoResult(ended)
        tester.clock.advance(0.1)
        self.assertEqual(self.failureResultOf(ended, RouteTimeoutError).value.seconds, 2.0)
        self.assertEqual(len(cancelled), 1)

    def test_a_coroutine_is_cancelled(self) -> None:
        seen: list[str] = []

        async def slow() -> None:
            try:
                await Deferred()
            except CancelledError:
                seen.append("cancelled")
                raise

        self.answers = [slow()]
        tester = self.make(timeout=2.0)
        ended = tester.deliver("a")
        tester.clock.advance(2)
        self.failureResultOf(ended, RouteTimeoutError)
        self.assertEqual(seen, ["cancelled"])

    def test_in_time(self) -> None:
        """No timer stays behind, and what it gave or raised is passed on."""
        done: Deferred[int] = Deferred()
        self.answers = [done, None, fail(ZeroDivisionError())]
        tester = self.make(timeout=2.0)
        ended = tester.deliver("a")
        done.callback(5)
        self.assertEqual(self.successResultOf(ended), 5)
        self.assertIs(self.successResultOf(tester.deliver("a")), None)
        self.failureResultOf(tester.deliver("a"), ZeroDivisionError)
        self.assertEqual(tester.clock.getDelayedCalls(), [])


class RetryTests(MiddlewareTestCase):
    """retries="""

    def test_until_it_succeeds(self) -> None:
        """The waits double, the attempts are told, and each retry is counted and logged in one line."""
        log = LogRecorder(self)
        self.answers = [ValueError("one"), fail(ValueError("two")), succeed(5)]
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
                "Event route nats:a: attempt 1 on a message to 'a' failed: ValueError: one; again in 0.1 s",
                "Event route nats:a: attempt 2 on a message to 'a' failed: ValueError: two; again in 0.2 s",
            ],
        )

    def test_in_vain(self) -> None:
        """After so many it fails with the last error."""
        self.answers = [ValueError("1"), ValueError("2"), ValueError("3")]
        tester = self.make(retries=2)
        ended = tester.deliver("a")
        tester.clock.pump([0.1] * 10)
        self.assertEqual(str(self.failureResultOf(ended, ValueError).value), "3")
        self.assertEqual(len(self.events), 3)

    def test_waits_are_bounded(self) -> None:
        self.answers = [ValueError()] * 20
        tester = self.make(retry(19, wait=1.0, max_wait=4.0))
        ended = tester.deliver("a")
        tester.clock.pump([1.0] * (1 + 2 + 4 * 17))
        self.failureResultOf(ended, ValueError)

    def test_what_will_not_be_better(self) -> None:
        """A payload that is no JSON, a call that was cancelled from outside."""
        self.answers = [DecodeError("no JSON"), Deferred()]
        tester = self.make(retries=3)
        self.failureResultOf(tester.deliver("a"), DecodeError)
        ended = tester.deliver("a")
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assertEqual((len(self.events), tester.clock.getDelayedCalls()), (2, []))

    def test_cancelled_by_the_route(self) -> None:
        """What it waits for was cancelled by its own doing, in Twisted's way or in asyncio's: an error as any other."""

        async def waiting() -> None:
            inner: Deferred[None] = Deferred()
            inner.cancel()
            await inner

        for own in (waiting(), CancelledError(), asyncio.CancelledError(), fail(asyncio.CancelledError())):
            self.answers = [own, succeed(5)]
            tester = self.make(retries=1)
            ended = tester.deliver("a")
            tester.clock.advance(0.1)
            self.assertEqual(self.successResultOf(ended), 5)
            self.assertEqual((self.events[-1].attempts, self.counters.retried), (2, 1))

    def assert_given_up(self, tester: RouteTester) -> None:
        """One call was made, none will be, and nothing was buried."""
        self.assertEqual((len(self.events), tester.clock.getDelayedCalls(), tester.published), (1, [], []))

    def test_cancelled_while_it_waits(self) -> None:
        """No other attempt follows the one that has failed."""
        self.answers = [ValueError()]
        tester = self.make(retries=3, dead_letter="dead")
        ended = tester.deliver("a")
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assert_given_up(tester)

    def test_cancelled_and_failed_otherwise(self) -> None:
        """What a call makes of being cancelled is its own affair; it is not wanted any more."""

        async def failing() -> None:
            try:
                await Deferred()
            except CancelledError:
                raise ValueError from None

        self.answers = [failing()]
        tester = self.make(retries=3, dead_letter="dead")
        ended = tester.deliver("a")
        ended.cancel()
        self.failureResultOf(ended, ValueError)
        self.assert_given_up(tester)

    def test_a_call_that_goes_on(self) -> None:
        """It is waited for, though it was cancelled."""
        go_on: Deferred[int] = Deferred()

        async def stubborn() -> int:
            try:
                await Deferred()
            except CancelledError:
                pass
            return await go_on

        self.answers = [stubborn()]
        ended = self.make(retries=3, dead_letter="dead").deliver("a")
        ended.cancel()
        self.assertNoResult(ended)
        go_on.callback(5)
        self.assertEqual(self.successResultOf(ended), 5)

    def test_within_a_timeout(self) -> None:
        """A time-out for all attempts together ends them, and buries nothing."""
        self.answers = [Deferred()]
        tester = self.make(timeout_of(5.0), retries=3, dead_letter="dead")
        ended = tester.deliver("a")
        tester.clock.advance(5)
        self.failureResultOf(ended, RouteTimeoutError)
        self.assert_given_up(tester)

    def test_after_a_timeout(self) -> None:
        """Each attempt has its own time."""
        self.answers = [Deferred(), succeed(None)]
        tester = self.make(retries=1, timeout=5.0)
        ended = tester.deliver("a")
        tester.clock.advance(5)
        tester.clock.advance(0.1)
        self.successResultOf(ended)


class DeadLetterTests(MiddlewareTestCase):
    """dead_letter="""

    def test_after_all_retries(self) -> None:
        """The payload and its headers, with what went wrong; and the call has failed all the same."""
        self.answers = [ValueError("bad\r\nnews")] * 2
        tester = self.make(retries=1, dead_letter="dead.letters")
        ended = tester.deliver("a", b"x\0", headers={"Call-ID": ["1", "2"]})
        self.assertEqual(tester.published, [])
        tester.clock.advance(0.1)
        self.failureResultOf(ended, ValueError)
        told = {
            "Natsroute-Route": "nats:a",
            "Natsroute-Subject": "a",
            "Natsroute-Error": "ValueError: bad??news",
            "Natsroute-Attempts": "2",
        }
        self.assertEqual(tester.published, [Published("dead.letters", b"x\0", headers={"Call-ID": ["1", "2"], **told})])
        self.assertEqual(self.counters.dead_lettered, 1)

    def test_cancelled_by_the_route(self) -> None:
        """That is an error as any other."""
        for own in (CancelledError("mine"), asyncio.CancelledError("mine")):
            self.answers = [own]
            tester = self.make(dead_letter="dead")
            self.failureResultOf(tester.deliver("a"), type(own))
            [letter] = tester.published
            assert letter.headers is not None
            self.assertEqual(letter.headers["Natsroute-Error"], "CancelledError: mine")

    def test_cancelled_from_outside(self) -> None:
        """It was not the route that failed."""
        self.answers = [Deferred()]
        tester = self.make(dead_letter="dead")
        ended = tester.deliver("a")
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assertEqual(tester.published, [])

    def test_a_message_with_bad_headers(self) -> None:
        """Its letter goes without them."""
        published: list[Any] = []

        def publish(*message: Any, **how: Any) -> Deferred[None]:
            published.append(message)
            return succeed(None)

        block = b"NATS/1.0\r\nno colon\r\n\r\n"
        context = EventContext(publish, Clock(), RouteCounters("nats:a"))
        event = Event.within(context, Address("a", 1), b"x", block)
        buried: Any = dead_letter("dead")(lambda event: event.headers["Call-ID"])(event)
        self.failureResultOf(Deferred.fromCoroutine(buried), DecodeError)
        [(subject, data, _, headers)] = published
        self.assertEqual((subject, data, sorted(headers)), ("dead", b"x", sorted(DEAD_LETTER_HEADERS)))

    def test_a_success_has_none(self) -> None:
        tester = self.make(dead_letter="dead")
        self.successResultOf(tester.deliver("a"))
        self.assertEqual(tester.published, [])

    def test_a_letter_that_cannot_be_published(self) -> None:
        """It is not counted, one line says so, and the call fails with its own error."""
        log = LogRecorder(self)
        self.answers = [ValueError("mine")]
        tester = self.make(dead_letter="dead")
        full = PublishBufferFullError(messages=1, max_messages=1, bytes=1, max_bytes=1)
        self.patch(tester, "_publish", lambda *message, **how: fail(full))
        self.failureResultOf(tester.deliver("a"), ValueError)
        self.assertEqual(self.counters.dead_lettered, 0)
        [line] = log.lines("error")
        self.assertIn("the dead letter of a message to 'a' was not published: the publish worker holds", line)

    def test_what_does_not_go_along(self) -> None:
        """Headers that a stream would obey; and a letter is not buried a second time."""
        log = LogRecorder(self)
        self.answers = [ValueError(), ValueError()]
        tester = self.make(dead_letter="dead")
        headers = {"Nats-Msg-Id": "1", "Nats-Expected-Stream": "S", "A": "b"}
        self.failureResultOf(tester.deliver("a", headers=headers), ValueError)
        [letter] = tester.published
        assert letter.headers is not None
        self.assertEqual(sorted(letter.headers), sorted([*DEAD_LETTER_HEADERS, "A"]))
        self.failureResultOf(tester.deliver("a", headers=letter.headers), ValueError)
        self.assertEqual(len(tester.published), 1)
        self.assertEqual(len(log.matching("which is not buried again")), 1)

    def test_a_letter_that_is_too_large(self) -> None:
        """It goes without the message's own headers."""
        sent: list[Any] = []

        def publish(*message: Any, **how: Any) -> Deferred[None]:
            sent.append(message[3])
            return fail(PayloadTooLargeError(2, 1)) if "A" in message[3] else succeed(None)

        self.answers = [ValueError()]
        tester = self.make(dead_letter="dead")
        self.patch(tester, "_publish", publish)
        self.failureResultOf(tester.deliver("a", headers={"A": "b"}), ValueError)
        self.assertEqual([sorted(headers) for headers in sent][1], sorted(DEAD_LETTER_HEADERS))
        self.assertEqual(self.counters.dead_lettered, 1)

    def test_the_event_of_a_connection(self) -> None:
        """It has no message that could be kept."""
        self.answers = [ValueError()]
        tester = self.make(dead_letter="dead")
        self.failureResultOf(tester.connected(), ValueError)
        self.assertEqual(tester.published, [])


class ThrottleTests(MiddlewareTestCase):
    """throttle()"""

    def test_evenly_spread(self) -> None:
        tester = self.make(throttle(2))
        waits = [tester.deliver("a") for _ in range(4)]
        begun = []
        for _ in range(8):
            begun.append(len(self.events))
            tester.clock.advance(0.25)
        self.assertEqual(begun, [1, 1, 2, 2, 3, 3, 4, 4])
        for wait in waits:
            self.successResultOf(wait)

    def test_what_was_not_used_is_lost(self) -> None:
        """After a quiet hour there is no burst."""
        tester = self.make(throttle(1))
        self.successResultOf(tester.deliver("a"))
        tester.clock.advance(3600)
        waits = [tester.deliver("a") for _ in range(3)]
        self.successResultOf(waits[0])
        self.assertNoResult(waits[1])

    def test_shared(self) -> None:
        """Routes that are given the same one share it."""
        one = throttle(1)
        event_route = EventRoutes(middleware=[one])
        event_route("nats:a")(self.route)
        event_route("nats:b")(self.route)
        tester = RouteTester(event_route)
        self.successResultOf(tester.deliver("a"))
        self.assertNoResult(tester.deliver("b"))

    def test_each_clock_by_itself(self) -> None:
        """A test begins with nothing of the test before, and two at once do not disturb each other."""
        one = throttle(1)
        first, second = self.make(one), self.make(one)
        first.clock.advance(1000)
        for tester in (first, second):
            self.successResultOf(tester.deliver("a"))
        for tester in (first, second):
            self.assertNoResult(tester.deliver("a"))


class DeduplicateTests(MiddlewareTestCase):
    """deduplicate()"""

    def test_the_same_message(self) -> None:
        """By its id; without one, by subject and payload."""
        tester = self.make(deduplicate())
        for payload, headers in [
            (b"1", {"Nats-Msg-Id": "x"}),
            (b"2", {"Nats-Msg-Id": "x"}),
            (b"1", None),
            (b"1", None),
            (b"2", None),
        ]:
            self.successResultOf(tester.deliver("a", payload, headers=headers))
        self.assertEqual([event.data for event in self.events], [b"1", b"1", b"2"])

    def test_for_so_long(self) -> None:
        tester = self.make(deduplicate(key=lambda event: 1, seconds=10))
        for advance, calls in [(0, 1), (9, 1), (1, 2), (9, 2)]:
            tester.clock.advance(advance)
            tester.deliver("a")
            self.assertEqual(len(self.events), calls)

    def test_so_many(self) -> None:
        tester = self.make(deduplicate(key=lambda event: event.data, most=2))
        for data in (b"1", b"2", b"2", b"3", b"1"):
            tester.deliver("a", data)
        self.assertEqual([event.data for event in self.events], [b"1", b"2", b"3", b"1"])

    def test_the_last_one(self) -> None:
        """One is remembered where one is asked for."""
        tester = self.make(deduplicate(key=lambda event: event.data, most=1))
        for data in (b"1", b"1", b"2", b"2", b"1"):
            tester.deliver("a", data)
        self.assertEqual([event.data for event in self.events], [b"1", b"2", b"1"])

    def test_each_clock_by_itself(self) -> None:
        """A test begins with nothing of the test before, and two at once do not disturb each other."""
        one = deduplicate()
        for tester in (first := self.make(one), second := self.make(one), first, second):
            self.successResultOf(tester.deliver("a"))
        self.assertEqual(len(self.events), 2)

    def test_a_clock_that_is_gone(self) -> None:
        """It is not kept, and when the next one comes nothing is kept for it."""
        remembered: list[weakref.ref[Any]] = []

        def key(event: Event) -> Hashable:
            found = type("Key", (), {})()  # a plain object cannot be weakly referred to
            remembered.append(weakref.ref(found))
            return found

        one = deduplicate(key=key)
        first, second = self.make(one), self.make(one)
        self.successResultOf(first.deliver("a"))
        clock = weakref.ref(first.clock)
        self.events.clear()
        del first
        gc.collect()
        self.assertIs(clock(), None)
        self.successResultOf(second.deliver("a"))
        gc.collect()
        self.assertEqual([reference() is None for reference in remembered], [True, False])

    def test_connections(self) -> None:
        """Each time that one comes is news."""
        tester = self.make(middleware_of_all=[deduplicate()])
        self.successResultOf(tester.connected())
        self.successResultOf(tester.connected())
        self.assertEqual(len(self.events), 2)

    def test_one_that_failed(self) -> None:
        """It is welcome again."""
        self.answers = [ValueError()]
        tester = self.make(deduplicate())
        self.failureResultOf(tester.deliver("a"), ValueError)
        self.successResultOf(tester.deliver("a"))
        self.assertEqual(len(self.events), 2)


class CorrelationTests(MiddlewareTestCase):
    """correlation()"""

    def make(self, *middleware: Middleware, **options: Any) -> RouteTester:
        event_route = EventRoutes(middleware=middleware)

        @event_route("nats:a")
        async def relay(event: Event) -> None:
            await event.publish("b", b"", headers={"N": "v"})
            await event.respond(b"")

        return RouteTester(event_route)

    def test_handed_on(self) -> None:
        tester = self.make(correlation())
        self.successResultOf(tester.deliver("a", reply="r", headers={"Correlation-Id": "call-1"}))
        self.assertEqual(
            [message.headers for message in tester.published],
            [{"Correlation-Id": ["call-1"], "N": "v"}, {"Correlation-Id": ["call-1"]}],
        )

    def test_begun(self) -> None:
        """A message without one: a new one for all that comes of it, and another for the next message."""
        tester = self.make(correlation("X-Correlation-ID"))
        for _ in range(2):
            self.successResultOf(tester.deliver("a", reply="r"))
        ids = [(message.headers or {})["X-Correlation-ID"][0] for message in tester.published]
        self.assertEqual([ids[0] == ids[1], ids[2] == ids[3], ids[0] == ids[2]], [True, True, False])
