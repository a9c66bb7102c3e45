"""What docs/ promises and no other test shows."""

from __future__ import annotations

import threading

from twisted.application.service import MultiService

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase
from tests.support.waiting import TIMEOUT


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
        event_route, go_on = EventRoutes(), threading.Event()
        begun, ended = list[bytes](), list[bytes]()
        self.addCleanup(go_on.set)

        @event_route("nats:in", thread=True, timeout=0.05)
        def block(event: Event) -> None:
            begun.append(event.data)
            go_on.wait(TIMEOUT)
            ended.append(event.data)

        log = LogRecorder(self)
        service = await self.connect_service(event_route, subject_queue_group=["in"])
        calls = 0
        while not begun:  # on a busy machine, a thread may take longer to start than the timeout is
            calls += 1
            await service.publish("in", b"hello")
            await self.until(lambda calls=calls: service.ledger().consumers[0].failed == calls)  # type: ignore[misc]
        self.assertEqual((len(log.matching("longer than its timeout")), ended), (1, []))
        go_on.set()
        await self.until(lambda: ended and ended == begun)
        account = service.ledger().consumers[0]
        self.assertEqual((account.succeeded, account.failed, account.in_progress), (0, calls, 0))


class OverlapTests(OneServerTestCase):
    """The warnings at the start about subject_queue_groups that overlap"""

    async def test_overlap(self) -> None:
        """The server shares the messages of one group, whatever the subjects. Different groups get them twice."""
        for entries, times in [
            (["a.*:q", "a.b:q"], 1),
            (["a.*:q", "a.b:r"], 2),
            (["a.*:q", "a.b"], 2),
            (["a.b", "a.b"], 2),
        ]:
            event_route, got = EventRoutes(), list[bytes]()
            event_route("nats:a.b")(lambda event, got=got: got.append(event.data))
            log = LogRecorder(self)
            service = await self.connect_service(event_route, subject_queue_group=entries)
            for number in range(20):
                service.publish("a.b", b"%d" % number)
            await service.flush()
            await self.until(lambda got=got, times=times: len(got) >= 20 * times)
            await service.stopService()
            self.assertEqual(len(got), 20 * times, entries)
            self.assertEqual(len(log.matching("handled twice")), times - 1)
            self.assertEqual(len(log.matching("goes to one of them")), 2 - times)


class ApplicationTests(OneServerTestCase):
    """docs/deployment.md"""

    async def test_several_services(self) -> None:
        """In one application they work, and their log lines differ."""
        application, got = MultiService(), list[bytes]()
        relay, show = EventRoutes(), EventRoutes()
        relay("nats:in")(lambda event: event.publish("out", event.data))
        show("nats:out")(lambda event: got.append(event.data))
        log = LogRecorder(self)
        services = [
            NatsrouteService(Settings(nats_url=self.url, subject_queue_group=entry, **name), routes)
            for entry, routes, name in (
                ("in", relay, {}),
                ("in:q", relay, {}),
                ("out", show, {"client_name": "presence"}),
            )
        ]
        for service in services:
            service.setServiceParent(application)
        application.startService()
        self.addCleanup(application.stopService)
        for service in services:
            await service.ready()
        await services[2].publish("in", b"hello")
        await self.until(lambda: got == [b"hello"] * 2)
        await application.stopService()
        for name in ("", "natsroute-2: ", "presence: "):
            self.assertEqual(len([line for line in log.lines() if line.startswith(f"{name}Publisher: ")]), 1)
        self.assertEqual(len(log.matching("presence: consumer out: connected to")), 1)
