"""natsroute.client.transport.endpoints; tests.integration reaches real servers through them."""

from __future__ import annotations

from twisted.internet import error
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.transport.endpoints import attempt_error


class AttemptErrorTests(SynchronousTestCase):
    """The same cause has the same words, and so is told once."""

    def test_reset(self) -> None:
        """Before the connection was made, or after."""
        before = attempt_error(error.getConnectError(ConnectionResetError(104, "Connection reset by peer")))
        self.assertEqual(str(before), Failure(error.ConnectionLost()).getErrorMessage())

    def test_others(self) -> None:
        for other in (error.ConnectionRefusedError(), error.DNSLookupError("x"), ValueError()):
            self.assertIs(attempt_error(other), other)
