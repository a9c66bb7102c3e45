"""The main job on a real nats-server: messages to event routes, and what they publish."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from natsroute import Event, EventRoutes
from tests.support import RealServerTestCase


class RoutingTests(RealServerTestCase):
    """A service with routes, and another that publishes to it."""

    async def test_relay_keeps_every_message_in_order(self) -> None:
        """20,000 numbered messages through a route that republishes them: none lost, none out of order."""
        event_route = EventRoutes()
        arrived: list[bytes] = []

        @event_route("nats:in")
        def relay(event: Event) -> None:
            event.publish("out", event.data)

        @event_route("nats:out")
        def collect(event: Event) -> None:
            arrived.append(event.data)

        service = await self.start(event_route, subject_queue_group=["in:q", "out"])
        sent = [b"%d" % number for number in range(20_000)]
        waits: list[Deferred[None]] = [service.publish("in", number) for number in sent]
        for wait in waits:
            await wait
        await self.until(lambda: len(arrived) >= len(sent))
        self.assertEqual(arrived, sent)
