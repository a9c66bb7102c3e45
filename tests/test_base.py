"""natsroute.routes.middleware.base"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import RouteError
from natsroute.routes.middleware.base import CancellableCall, check_positive, readable_headers
from tests.support.route_cases import an_event


class CancellableCallTests(SynchronousTestCase):
    """Cancelled from outside, or failed with CancelledError by itself."""

    def test_a_function(self) -> None:
        """It is called with the event, and its result or error is that of the call."""
        event = an_event()
        self.assertIs(self.successResultOf(CancellableCall(lambda event: event, event)), event)
        self.failureResultOf(CancellableCall(lambda event: 1 // 0, event), ZeroDivisionError)

    def test_from_outside(self) -> None:
        cancelled: list[object] = []
        call = CancellableCall(lambda event: Deferred(cancelled.append), an_event())
        self.assertFalse(call.cancelled)
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.assertEqual((call.cancelled, len(cancelled)), (True, 1))

    def test_by_itself(self) -> None:
        inner: Deferred[None] = Deferred()
        call = CancellableCall(lambda event: inner, an_event())
        inner.cancel()
        self.failureResultOf(call, CancelledError)
        self.assertFalse(call.cancelled)


class ReadableHeadersTests(SynchronousTestCase):
    """What can be sent on."""

    def test_headers(self) -> None:
        event = an_event(header_block=b"NATS/1.0\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\n")
        self.assertEqual(readable_headers(event), {"A": ["1", "3"], "B": ["2"]})

    def test_none(self) -> None:
        """There are none, or they cannot be read."""
        for block in (b"", b"NATS/1.0\r\nno colon\r\n\r\n"):
            self.assertEqual(readable_headers(an_event(header_block=block)), {})


class CheckPositiveTests(SynchronousTestCase):
    """Arguments of middleware."""

    def test_numbers(self) -> None:
        for number in (1, 0.001, 1e300):
            check_positive("seconds", number)
        for wrong in (0, -0.0, -1, float("inf"), float("nan"), "1", None):
            error = self.assertRaises(RouteError, check_positive, "seconds", wrong)
            self.assertEqual(str(error), f"seconds = {wrong!r}; it must be a number above 0")
