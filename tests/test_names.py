"""natsroute.daemon.names."""

from __future__ import annotations

from twisted.application.service import MultiService, Service
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.names import free_name


class FreeNameTests(SynchronousTestCase):
    """A name that no service has."""

    def test_free(self) -> None:
        """A name that is free stays."""
        self.assertEqual(free_name(MultiService(), "one"), "one")

    def test_taken(self) -> None:
        """A name that is taken gets the first free number."""
        services = MultiService()
        for name in ("one", "one-2"):
            service = Service()
            service.setName(name)
            service.setServiceParent(services)
        self.assertEqual(free_name(services, "one"), "one-3")
