"""The samples of a service's own figures see what they must see."""

from __future__ import annotations

from natsroute import Event, EventRoutes
from tests.chaos.account import account
from tests.support import RealServerTestCase


class AccountTests(RealServerTestCase):
    """A service with a route."""

    async def test_differences(self) -> None:
        """None, also within a handler; one as soon as a message is not accounted for."""
        event_route, within = EventRoutes(), []

        @event_route("nats:a")
        def look(event: Event) -> None:
            within.append(account(service, executing=1))

        service = await self.start(event_route, subject_queue_group=["a"])
        await service.publish("a", b"")
        await self.until(lambda: within)
        self.assertEqual((within, account(service)), ([[]], []))
        service.consumers[0].subscription.received += 1
        self.assertEqual(len(account(service)), 1)
