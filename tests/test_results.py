"""natsroute.routes.results"""

from __future__ import annotations

import asyncio

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.routes.results import ROUTE_ERRORS, as_deferred


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


class RouteErrorsTests(SynchronousTestCase):
    """What counts as an error of a route."""

    def test_errors(self) -> None:
        """Both kinds of CancelledError do; what ends a program does not."""
        self.assertTrue(all(issubclass(error, ROUTE_ERRORS) for error in (ValueError, CancelledError)))
        self.assertTrue(issubclass(asyncio.CancelledError, ROUTE_ERRORS))
        self.assertFalse(any(issubclass(error, ROUTE_ERRORS) for error in (KeyboardInterrupt, SystemExit)))
