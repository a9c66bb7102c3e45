"""The samples of a service's ledger see what they must see."""

from __future__ import annotations

from natsroute import Event, EventRoutes
from tests.chaos.account import Auditor
from tests.support.cases import RealServerTestCase


class AuditorTests(RealServerTestCase):
    """A service with a route."""

    async def test_differences(self) -> None:
        """None, also within a route; one as soon as a message is not accounted for."""
        event_route, within = EventRoutes(), []

        @event_route("nats:a")
        def look(event: Event) -> None:
            auditor.look()
            within.append(auditor.samples)

        service = await self.start(event_route, subject_queue_group=["a"])
        auditor = Auditor(self.reactor, service)
        await service.publish("a", b"")
        await self.until(lambda: within)
        auditor.stop()
        self.assertEqual((within, auditor.samples, auditor.differences), ([1], 2, []))
        service.consumers[0].subscription.received += 1
        auditor.look()
        self.assertEqual(len(auditor.differences), 1)
