"""natsroute.client.options"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.options import InboundLimits, Security, Timing
from natsroute.client.transport.tls import Tls


class OptionsTests(SynchronousTestCase):
    """Values that a program may leave out, and cannot change afterwards."""

    def test_timing(self) -> None:
        self.assertEqual(Timing(), Timing(2.0, 120.0, 2, 60.0))

    def test_security(self) -> None:
        """By default TLS is the server's choice."""
        self.assertEqual(Security(), Security(Tls(), required=False, name="", by_transport=False))

    def test_inbound_limits(self) -> None:
        self.assertEqual(InboundLimits(), InboundLimits(4096, 64 * 1024 * 1024))

    def test_frozen(self) -> None:
        for options in (Timing(), Security()):
            with self.assertRaises(attrs.exceptions.FrozenInstanceError):
                options.required = options.connect_timeout = 1  # type: ignore[union-attr, misc]
