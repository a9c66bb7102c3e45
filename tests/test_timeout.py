"""natsroute.routes.middleware.timeout"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail

from natsroute.errors import RouteError, RouteTimeoutError
from natsroute.middleware import timeout
from tests.support.route_cases import MiddlewareTestCase


class TimeoutTests(MiddlewareTestCase):
    """timeout="""

    def test_a_deferred_is_cancelled(self) -> None:
        cancelled: list[object] = []
        self.results = [Deferred(cancelled.append)]
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

        self.results = [slow()]
        tester = self.make(timeout=2.0)
        ended = tester.deliver("a")
        tester.clock.advance(2)
        self.failureResultOf(ended, RouteTimeoutError)
        self.assertEqual(seen, ["cancelled"])

    def test_in_time(self) -> None:
        """No timer is left over, and the call's result or error is passed on."""
        done: Deferred[int] = Deferred()
        self.results = [done, None, fail(ZeroDivisionError())]
        tester = self.make(timeout=2.0)
        ended = tester.deliver("a")
        done.callback(5)
        self.assertEqual(self.successResultOf(ended), 5)
        self.assertIs(self.successResultOf(tester.deliver("a")), None)
        self.failureResultOf(tester.deliver("a"), ZeroDivisionError)
        self.assertEqual(tester.clock.getDelayedCalls(), [])

    def test_seconds(self) -> None:
        """Any number above 0, but not infinity."""
        for wrong in (0, -1, float("inf"), float("nan"), "1", None):
            error = self.assertRaises(RouteError, timeout, wrong)
            self.assertEqual(str(error), f"timeout = {wrong!r}; it must be a number above 0")
