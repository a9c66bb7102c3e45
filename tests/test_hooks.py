"""natsroute.routes.hooks"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes
from natsroute.errors import RouteError
from natsroute.routes.hooks import HookRunner
from tests.support.log_recorder import LogRecorder


class HookRunnerTests(SynchronousTestCase):
    """on_start and on_stop of two collections."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.log = LogRecorder(self)
        self.called: list[object] = []
        self.first, self.second = EventRoutes(), EventRoutes()
        self.service: Any = object()

    def hook(self, name: str, result: object = None) -> Callable[[Any], object]:
        """A function that writes down that it is called, and returns the result."""

        def function(service: object) -> object:
            self.assertIs(service, self.service)
            self.called.append(name)
            if isinstance(result, BaseException):
                raise result
            return result

        return function

    def runner(self) -> HookRunner:
        return HookRunner(EventRoutes.merged([self.first, self.second]).hooks, self.clock, slow_after=30.0)

    def add_some(self) -> None:
        for number, routes in ((1, self.first), (2, self.second)):
            for letter in "ab":
                routes.on_start(self.hook(f"start {number}{letter}"))
                routes.on_stop(self.hook(f"stop {number}{letter}"))

    def test_order(self) -> None:
        """In order at the start, in reverse at the stop."""
        self.add_some()
        runner = self.runner()
        self.successResultOf(runner.start(self.service))
        self.assertEqual(self.called, ["start 1a", "start 1b", "start 2a", "start 2b"])
        self.called.clear()
        self.successResultOf(runner.stop(self.service))
        self.assertEqual(self.called, ["stop 2b", "stop 2a", "stop 1b", "stop 1a"])
        self.successResultOf(runner.stop(self.service))
        self.assertEqual(len(self.called), 4, "each hook runs once")
        self.assertEqual((self.log.lines(), self.clock.getDelayedCalls()), ([], []))

    def test_started_again(self) -> None:
        self.add_some()
        runner = self.runner()
        for _ in range(2):
            self.successResultOf(runner.start(self.service))
            self.successResultOf(runner.stop(self.service))
        self.assertEqual(len(self.called), 16)

    def test_decoration_returns_the_function(self) -> None:
        function = self.hook("x")
        self.assertIs(self.first.on_start(function), function)
        self.assertIs(self.first.on_stop(function), function)

    def test_not_a_function(self) -> None:
        """Such as ``@event_route.on_start("name")``."""
        for decorate in (self.first.on_start, self.first.on_stop):
            error = self.assertRaises(RouteError, decorate, "name")
            self.assertIn(f"Write @event_route.{decorate.__name__} above a function", str(error))

    def test_has_on_start(self) -> None:
        self.first.on_stop(self.hook("stop"))
        self.assertFalse(self.runner().has_on_start)
        self.second.on_start(self.hook("start"))
        self.assertTrue(self.runner().has_on_start)

    def test_one_after_the_other(self) -> None:
        """Deferreds and coroutines are waited for."""
        slow: Deferred[None] = Deferred()

        @self.first.on_start
        async def wait(service: object) -> None:
            self.called.append("wait")
            await slow

        self.first.on_start(self.hook("next"))
        started = self.runner().start(self.service)
        self.assertNoResult(started)
        self.assertEqual(self.called, ["wait"])
        slow.callback(None)
        self.successResultOf(started)
        self.assertEqual(self.called, ["wait", "next"])

    def test_a_start_that_fails(self) -> None:
        """No other on_start hook runs. The on_stop hooks of collections that have started do."""
        for error in (ValueError("no database"), SystemExit("no database")):
            self.setUp()
            self.first.on_start(self.hook("start 1"))
            self.first.on_stop(self.hook("stop 1"))
            self.second.on_start(self.hook("start 2", error))
            self.second.on_start(self.hook("start 3"))
            self.second.on_stop(self.hook("stop 2"))
            runner = self.runner()
            self.failureResultOf(runner.start(self.service), type(error))
            [line] = self.log.lines("critical")
            self.assertRegex(
                line, r"^on_start hook .*function \(.*test_hooks.py:\d+\) failed: the service does not start"
            )
            self.flushLoggedErrors(type(error))
            self.successResultOf(runner.stop(self.service))
            self.assertEqual(self.called, ["start 1", "start 2", "stop 1"])

    def test_a_stop_that_fails(self) -> None:
        """It is logged, and the next hook runs."""
        self.first.on_stop(self.hook("a"))
        self.first.on_stop(self.hook("b", ValueError("gone")))
        runner = self.runner()
        self.successResultOf(runner.start(self.service))
        self.successResultOf(runner.stop(self.service))
        self.assertEqual(self.called, ["b", "a"])
        [line] = self.log.lines("critical")
        self.assertRegex(line, r"^on_stop hook .* failed")
        self.flushLoggedErrors(ValueError)

    def test_a_start_that_is_cancelled(self) -> None:
        """The hook is cancelled. Nothing is logged, no other hook runs, and its collection has not started."""
        self.first.on_stop(self.hook("stop 1"))
        self.second.on_start(self.hook("start", Deferred()))
        self.second.on_start(self.hook("next"))
        self.second.on_stop(self.hook("stop 2"))
        runner = self.runner()
        starting = runner.start(self.service)
        starting.cancel()
        self.failureResultOf(starting, CancelledError)
        self.successResultOf(runner.stop(self.service))
        self.assertEqual((self.called, self.log.lines()), (["start", "stop 1"], []))

    def test_a_start_that_ignores_its_cancellation(self) -> None:
        """The stop begins when it has ended, and what it has opened is closed; or the stop is cancelled, too."""
        release: Deferred[None] = Deferred()

        @self.first.on_start
        async def stubborn(service: object) -> None:
            try:
                await Deferred()
            except CancelledError:
                await release

        self.first.on_stop(self.hook("stop"))
        runner = self.runner()
        starting = runner.start(self.service)
        starting.cancel()
        self.failureResultOf(starting, CancelledError)
        stopping = runner.stop(self.service)
        self.assertNoResult(stopping)
        release.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.called, ["stop"])

    def test_a_stop_that_is_cancelled(self) -> None:
        """The hook that runs is cancelled, whether it likes that or not, and no other begins."""

        async def stubborn() -> None:
            try:
                await Deferred()
            except CancelledError:
                await Deferred()

        for hanging in (Deferred(), stubborn()):
            self.setUp()
            self.first.on_stop(self.hook("other"))
            self.first.on_stop(self.hook("hangs", hanging))
            runner = self.runner()
            self.successResultOf(runner.start(self.service))
            stopping = runner.stop(self.service)
            self.assertNoResult(stopping)
            stopping.cancel()
            self.successResultOf(stopping.addErrback(lambda failure: failure.trap(CancelledError)))
            self.assertEqual(self.called, ["hangs"])
            [line] = self.log.lines("error")
            self.assertIn("was cancelled: it took too long", line)

    def test_pending(self) -> None:
        """The hook that runs, and for how long."""
        hook: Deferred[None] = Deferred()
        self.first.on_start(self.hook("one"))
        self.first.on_start(self.hook("two", hook))
        runner = self.runner()
        self.assertIsNone(runner.pending)
        started = runner.start(self.service)
        self.clock.advance(3)
        assert runner.pending is not None
        name, seconds = runner.pending
        self.assertIn("function (", name)
        self.assertEqual(seconds, 3.0)
        hook.callback(None)
        self.successResultOf(started)
        self.assertIsNone(runner.pending)

    def test_slow(self) -> None:
        """A start that takes long is logged once."""
        slow: Deferred[None] = Deferred()
        self.first.on_start(self.hook("slow", slow))
        self.runner().start(self.service)
        self.clock.advance(29.9)
        self.assertEqual(self.log.lines(), [])
        self.clock.advance(100)
        [line] = self.log.lines("warn")
        self.assertIn("is still running after 30 s. No message is handled before it has ended", line)


class ReloadTests(HookRunnerTests):
    """A runner of a new version of the code."""

    def test_collections_that_go_on(self) -> None:
        """Their hooks do not run when the new version starts, nor when the former one stops, but when this one does."""
        self.add_some()
        former = self.runner()
        self.successResultOf(former.start(self.service))
        third = EventRoutes()
        third.on_start(self.hook("start 3"))
        third.on_stop(self.hook("stop 3"))
        new = HookRunner(EventRoutes.merged([self.first, third]).hooks, self.clock)
        self.called.clear()
        common = former.in_common(new)
        self.successResultOf(new.start(self.service, common))
        former.leave(common)
        self.successResultOf(former.stop(self.service))
        self.successResultOf(new.stop(self.service))
        self.assertEqual(self.called, ["start 3", "stop 2b", "stop 2a", "stop 3", "stop 1b", "stop 1a"])

    def test_what_the_log_says(self) -> None:
        self.first.on_start(self.hook("fails", ValueError("no")))
        self.failureResultOf(self.runner().start(self.service, ()), ValueError)
        self.assertIn("failed: the former code goes on", self.log.lines("critical")[0])
        self.flushLoggedErrors(ValueError)
        self.second.on_start(self.hook("waits", Deferred()))
        runner = HookRunner(self.second.hooks, self.clock, slow_after=30.0)
        runner.start(self.service, ())
        self.clock.advance(30.0)
        self.assertIn("The new code is not used before it has ended", self.log.lines("warn")[0])
