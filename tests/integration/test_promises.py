"""What docs/ promises and no other test shows."""

from __future__ import annotations

import threading

from natsroute import Event, EventRoutes
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase


class RouteTests(OneServerTestCase):
    """docs/routes.md"""

    async def test_a_message_to_the_subject_connected(self) -> None:
        """It has the route of the connection event, and no server."""
        event_route, got = EventRoutes(), list[tuple[bytes, bool]]()
        event_route("nats:connected")(lambda event: got.append((event.data, event.server is None)))
        service = await self.connect_service(event_route, subject_queue_group=["connected"], num_publish_workers=1)
        await self.until(lambda: got == [(b"", False)] * 2)
        await service.publish("connected", b"hello")
        await self.until(lambda: got[2:] == [(b"hello", True)])

    async def test_a_timeout_of_a_thread(self) -> None:
        """The call fails in time; the function goes on in its thread, and its result is ignored."""
        event_route, go_on, ended = EventRoutes(), threading.Event(), list[bytes]()
        self.addCleanup(go_on.set)

        @event_route("nats:in", thread=True, timeout=0.05)
        def block(event: Event) -> None:
            go_on.wait(30)
            ended.append(event.data)

        log = LogRecorder(self)
        service = await self.connect_service(event_route, subject_queue_group=["in"])
        await service.publish("in", b"hello")
        await self.until(lambda: service.ledger().consumers[0].failed == 1)
        self.assertEqual((len(log.matching("longer than its timeout")), ended), (1, []))
        go_on.set()
        await self.until(lambda: ended == [b"hello"])
        account = service.ledger().consumers[0]
        self.assertEqual((account.succeeded, account.failed, account.in_progress), (0, 1, 0))
