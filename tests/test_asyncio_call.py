"""natsroute.routes.asyncio_call"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.ledger import RouteCounters
from natsroute.middleware import retry, timeout
from natsroute.routes.calls import Calls
from natsroute.routes.hooks import HookRunner, Hooks
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.results import as_deferred
from natsroute.routes.route import Route
from natsroute.routes.route_errors import NEEDS_ASYNCIO
from tests.support.garbage import left_in_cycles
from tests.support.log_recorder import LogRecorder
from tests.support.route_cases import an_event
from tests.support.waiting import TIMEOUT

variable: ContextVar[str] = ContextVar("variable", default="unset")


class AsyncioTestCase(SynchronousTestCase):
    """
    A loop of asyncio of its own, which runs while the test waits for something.

    :ivar results: what the coroutines of a test noted.
    """

    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.results: list[Any] = []

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        """Start a coroutine as the call of a route does, inside the loop."""

        async def begin() -> Deferred[Any]:
            deferred = as_deferred(coroutine)
            assert deferred is not None
            return [deferred]  # type: ignore[return-value]

        [deferred] = self.loop.run_until_complete(begin())  # type: ignore[misc]
        return deferred  # type: ignore[no-any-return]

    def run_loop(self, turns: int = 10) -> None:
        """Some turns of the loop."""

        async def wait() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.loop.run_until_complete(wait())


class AwaitTests(AsyncioTestCase):
    """A coroutine awaits what asyncio has, and Deferreds."""

    def test_at_once(self) -> None:
        """A coroutine that awaits nothing has ended when it is called; before Python 3.12 in the next turn."""

        async def route() -> int:
            return 5

        ended = self.start(route())
        if sys.version_info < (3, 12):
            self.run_loop()
        self.assertEqual(self.successResultOf(ended), 5)

    def test_all_kinds(self) -> None:
        waiting: Deferred[str] = Deferred()
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def later(value: str) -> str:
            await asyncio.sleep(0)
            return value

        async def route() -> list[str]:
            got = [await later("a coroutine"), await succeed("a Deferred"), await waiting]
            got += await asyncio.gather(later("gather 1"), later("gather 2"))
            got.append(await queue.get())
            got.append(await asyncio.wait_for(later("wait_for"), TIMEOUT))
            return got

        ended = self.start(route())
        self.run_loop()
        self.assertNoResult(ended)
        waiting.callback("a Deferred that waits")
        queue.put_nowait("a queue")
        self.run_loop(30)
        self.assertEqual(
            self.successResultOf(ended),
            ["a coroutine", "a Deferred", "a Deferred that waits", "gather 1", "gather 2", "a queue", "wait_for"],
        )

    def test_no_cycles(self) -> None:
        """An error that a coroutine does not catch goes when nobody has it."""

        async def route() -> None:
            await self.loop.create_future()

        def fail() -> None:
            ended = self.start(route()).addErrback(lambda failure: None)
            self.run_loop()
            ended.cancel()
            self.run_loop()
            self.assertTrue(ended.called)

        self.assertEqual(left_in_cycles(fail), [])

    def test_errors(self) -> None:
        """Of a Deferred and of a Future, caught and not."""
        waiting: Deferred[None] = Deferred()
        future = self.loop.create_future()

        async def route() -> None:
            for awaited in (waiting, future, fail(ValueError("fired"))):
                try:
                    await awaited
                except ValueError as error:
                    self.results.append(str(error))
            raise ZeroDivisionError

        ended = self.start(route())
        self.run_loop()
        waiting.errback(ValueError("deferred"))
        future.set_exception(ValueError("future"))
        self.run_loop()
        self.assertEqual(self.results, ["deferred", "future", "fired"])
        failure = self.failureResultOf(ended, ZeroDivisionError)
        self.assertIn("in route", failure.getTraceback())

    def test_errors_that_would_end_the_loop(self) -> None:
        for error in (SystemExit, KeyboardInterrupt, GeneratorExit):

            async def route(error: type[BaseException] = error) -> None:
                await asyncio.sleep(0)
                raise error

            ended = self.start(route())
            self.run_loop()
            self.failureResultOf(ended, error)

    def test_a_deferred_that_is_returned(self) -> None:
        waiting: Deferred[int] = Deferred()

        async def route() -> Deferred[int]:
            await asyncio.sleep(0)
            return waiting

        ended = self.start(route())
        self.run_loop()
        self.assertNoResult(ended)
        waiting.callback(5)
        self.assertEqual(self.successResultOf(ended), 5)

    def test_a_future_that_is_returned(self) -> None:
        """It is awaited, as a Deferred is."""
        future: asyncio.Future[int] = self.loop.create_future()

        async def begin() -> list[Any]:
            return [as_deferred(future)]

        [ended] = self.loop.run_until_complete(begin())
        self.assertNoResult(ended)
        future.set_result(5)
        self.run_loop()
        self.assertEqual(self.successResultOf(ended), 5)

    def test_a_context_of_its_own(self) -> None:
        async def route() -> str:
            variable.set("set")
            await asyncio.sleep(0)
            return variable.get()

        ended = self.start(route())
        self.run_loop()
        self.assertEqual((self.successResultOf(ended), variable.get()), ("set", "unset"))


class CancelTests(AsyncioTestCase):
    """Cancelling, from Twisted and from asyncio."""

    async def wait_for(self, awaited: Any) -> None:
        try:
            await awaited
        except BaseException as error:
            self.results.append(type(error))
            raise

    def test_from_twisted(self) -> None:
        """What the coroutine awaits is cancelled."""
        cancelled: list[object] = []
        awaited: list[tuple[Any, type[BaseException]]] = [
            (Deferred(cancelled.append), CancelledError),
            (self.loop.create_future(), asyncio.CancelledError),
        ]
        for one, error in awaited:
            ended = self.start(self.wait_for(one))
            ended.cancel()
            self.run_loop()
            self.failureResultOf(ended, error)
        self.assertEqual(self.results, [CancelledError, asyncio.CancelledError])
        self.assertEqual(len(cancelled), 1)
        self.assertTrue(awaited[1][0].cancelled())

    def test_from_asyncio(self) -> None:
        """A Task that is cancelled cancels the Deferred that it awaits, and sees asyncio's error."""
        cancelled: list[object] = []
        tasks: list[Any] = []

        async def route() -> None:
            tasks.append(asyncio.current_task())
            await self.wait_for(Deferred(cancelled.append))

        ended = self.start(route())
        self.run_loop()
        tasks[0].cancel()
        self.run_loop()
        self.failureResultOf(ended, asyncio.CancelledError)
        self.assertEqual((self.results, len(cancelled)), ([asyncio.CancelledError], 1))

    def test_asyncio_timeout(self) -> None:
        """asyncio.timeout() around a Deferred."""
        if sys.version_info < (3, 11):
            self.skipTest("asyncio.timeout() is new in Python 3.11")
        cancelled: list[object] = []

        async def route() -> str:
            try:
                async with asyncio.timeout(0):  # type: ignore[attr-defined,unused-ignore]
                    await Deferred(cancelled.append)
            except TimeoutError:
                return "timed out"
            return "no timeout"

        ended = self.start(route())
        self.run_loop()
        self.assertEqual((self.successResultOf(ended), len(cancelled)), ("timed out", 1))

    def test_a_coroutine_that_ignores_it(self) -> None:
        """The call ends when the coroutine does; a second cancel reaches it, too."""

        async def route() -> str:
            for _ in range(2):
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    self.results.append("ignored")
            return await Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(0, "done")))

        ended = self.start(route())
        for number in (1, 2):
            ended.cancel()
            if number == 1:
                self.run_loop()
                self.assertNoResult(ended)
        self.run_loop()
        self.assertEqual((self.successResultOf(ended), self.results), ("done", ["ignored"] * 2))

    def test_before_it_began(self) -> None:
        """Nothing runs, and the call fails. Before Python 3.12, a Task begins in the next turn."""

        async def begin() -> None:
            deferred = as_deferred(self.wait_for(Deferred()))
            assert deferred is not None
            deferred.cancel()
            self.results.append(deferred)

        self.loop.run_until_complete(begin())
        self.run_loop()
        self.failureResultOf(next(one for one in self.results if isinstance(one, Deferred)), CancelledError)


class MiddlewareTests(AsyncioTestCase):
    """Middleware around a coroutine of asyncio."""

    def test_retry_and_timeout(self) -> None:
        clock = Clock()
        event = an_event()
        object.__setattr__(event.context, "clock", clock)

        async def route(event: Event) -> int:
            await asyncio.sleep(0)
            if event.attempts == 1:
                raise ValueError
            return event.attempts

        function: Any = Route("nats:a", route, middleware=(retry(1), timeout(5.0))).wrapped(lambda *_: Deferred())
        ended = self.start(function(event))
        self.run_loop()
        clock.advance(0.1)
        self.run_loop()
        self.assertEqual(self.successResultOf(ended), 2)

    def test_a_hook(self) -> None:
        async def hook(service: object) -> None:
            await asyncio.sleep(0)
            self.results.append("ran")

        runner = HookRunner([Hooks([hook], [])], Clock())
        service: Any = None

        async def begin() -> list[Any]:
            return [runner.start(service)]

        [ended] = self.loop.run_until_complete(begin())
        self.run_loop()
        self.successResultOf(ended)
        self.assertEqual(self.results, ["ran"])


class CallsTests(AsyncioTestCase):
    """Through the calls of a route."""

    def test_in_flight_and_stop(self) -> None:
        counters, in_flight = RouteCounters("nats:a.*"), CallsInFlight(Clock())

        async def route(event: Event) -> None:
            await asyncio.sleep(1000)

        async def begin() -> list[Any]:
            return [Calls(route, counters, in_flight).call(an_event())]

        counters.routed += 1
        [ended] = self.loop.run_until_complete(begin())
        self.assertEqual((len(in_flight.running), counters.in_progress), (1, 1))
        in_flight.stop()
        self.run_loop()
        self.assertEqual((len(in_flight.running), counters.failed), (0, 1))
        self.assertNoResult(ended)


class OtherReactorTests(SynchronousTestCase):
    """asyncio without its reactor: the error says what to do."""

    def test_coroutines(self) -> None:
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)

        async def sleeping(event: Event) -> None:
            await asyncio.sleep(1)

        async def waiting(event: Event) -> None:
            await loop.create_future()

        for route in (sleeping, waiting):
            log = LogRecorder(self)
            counters = RouteCounters("nats:a.*", routed=1)
            Calls(route, counters, CallsInFlight(Clock())).call(an_event())
            self.assertEqual(counters.failed, 1)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            self.assertIn(NEEDS_ASYNCIO, log.lines("critical")[0])

    def test_a_future(self) -> None:
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        deferred = as_deferred(loop.create_future())
        assert deferred is not None
        failure: Failure = self.failureResultOf(deferred)
        self.assertIn(NEEDS_ASYNCIO, failure.getErrorMessage())
