"""natsroute.routes.outgoing"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import MisuseError
from natsroute.routes.outgoing import NoRequests


class NoRequestsTests(SynchronousTestCase):
    """An event without anything that sends requests."""

    def test_fails(self) -> None:
        """The error names the subject."""
        nothing = NoRequests()
        for asked in (nothing.request("billing", b"", timeout=1), nothing.request_many("billing", stall=1)):
            self.assertIn("'billing'", str(self.failureResultOf(asked, MisuseError).value))
