"""natsroute.routes.results"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.errors import RouteError
from natsroute.routes.results import as_deferred, call_deferred
from tests.support.route_cases import an_event


class AsDeferredTests(SynchronousTestCase):
    """What a route returned, if there is something to wait for."""

    def test_a_deferred(self) -> None:
        deferred: Deferred[object] = Deferred()
        self.assertIs(as_deferred(deferred), deferred)

    def test_a_coroutine(self) -> None:
        async def route() -> int:
            return 5

        deferred = as_deferred(route())
        assert deferred is not None
        self.assertEqual(self.successResultOf(deferred), 5)

    def test_anything_else(self) -> None:
        """Kamailio's callbacks return 1."""
        for result in (None, 1, "x", False, []):
            self.assertIs(as_deferred(result), None)

    def test_what_has_not_run(self) -> None:
        """The call fails, because the function's code was never run."""

        def generator() -> Iterator[int]:
            yield 1

        async def async_generator() -> AsyncIterator[int]:
            yield 1

        class Request:
            def __await__(self) -> Iterator[int]:
                yield 1

        for result, name in (
            (generator(), "generator"),
            (async_generator(), "async_generator"),
            (Request(), "Request"),
        ):
            deferred = as_deferred(result)
            assert deferred is not None
            error = self.failureResultOf(deferred, RouteError).value
            self.assertIn(f"it returned an object of type {name}, which has not run", str(error))


class CallDeferredTests(SynchronousTestCase):
    """Calls like Twisted's maybeDeferred()."""

    def test_results_and_errors(self) -> None:
        event = an_event()
        self.assertIs(self.successResultOf(call_deferred(lambda event: event, event)), event)
        deferred: Deferred[object] = Deferred()
        self.assertIs(call_deferred(lambda event: deferred, event), deferred)
        for error in (ValueError, KeyboardInterrupt, GeneratorExit, SystemExit):

            def raising(event: Event, error: type[BaseException] = error) -> None:
                raise error

            self.failureResultOf(call_deferred(raising, event), error)
