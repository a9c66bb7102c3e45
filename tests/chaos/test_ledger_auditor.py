"""tests.chaos.ledger_auditor, which must find what it is there to find"""

from __future__ import annotations

from natsroute import Event, EventRoutes
from tests.chaos.ledger_auditor import LedgerAuditor
from tests.support.server_case import OneServerTestCase


class LedgerAuditorTests(OneServerTestCase):
    """A service with a route."""

    async def test_differences(self) -> None:
        """There are none, also within a route. There is one as soon as a message is not accounted for."""
        event_route, within = EventRoutes(), []

        @event_route("nats:a")
        def check(event: Event) -> None:
            auditor.check()
            within.append(auditor.samples)

        service = await self.connect_service(event_route, subject_queue_group=["a"])
        auditor = LedgerAuditor(self.reactor, service)
        await service.publish("a", b"")
        await self.until(lambda: within)
        auditor.stop()
        self.assertEqual((within, auditor.samples, auditor.differences), ([1], 2, []))
        service.consumers[0].source.received += 1
        auditor.check()
        self.assertEqual(len(auditor.differences), 1)
