"""Event routes for the changes of a key-value bucket"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from natsroute import EventRoutes, NatsrouteService
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.routes.event import Event
from tests.support.server_case import OneServerTestCase

#: Key, value, operation and revision.
Change = tuple[str, str, str, int]


class KeyValueRouteTests(OneServerTestCase):
    """A program that changes a bucket, and routes of another one."""

    config = "jetstream: {}"

    def setUp(self) -> Deferred[None]:
        self.changes: list[Change] = []
        self.event_route = EventRoutes()
        return super().setUp()

    def keep(self, event: Any) -> None:
        """A route that keeps what it sees."""
        self.changes.append((event.key, event.text(), event.operation, event.revision))

    async def program(self) -> Any:
        """Another service, and its bucket."""
        service = await self.connect_service()
        kv = service.key_value("calls", BucketConfig(history=5))
        await kv.open()
        return kv

    def consumer(self, service: NatsrouteService) -> Any:
        """What the service consumes."""
        (consumer,) = service.consumers
        return consumer

    async def test_changes(self) -> None:
        """They begin with the last one of each key; each route has its own keys."""
        kv = await self.program()
        for key, value in (("a.x", "1"), ("a.x", "2"), ("b", "3")):
            await kv.put(key, value)
        self.event_route("kv:calls:a.>")(self.keep)
        others: list[str] = []
        self.event_route("kv:calls:c")(lambda event: others.append(event.name))
        service = await self.connect_service(self.event_route)
        await self.until(lambda: self.changes == [("a.x", "2", "put", 2)])
        await kv.delete("a.x")
        await kv.put("b", "4")
        await kv.put("c", "5")
        await kv.purge("a.y")
        await self.until(lambda: len(self.changes) == 3)
        self.assertEqual(self.changes[1:], [("a.x", "", "delete", 4), ("a.y", "", "purge", 7)])
        self.assertEqual(others, ["kv:calls:c"])
        account = self.consumer(service).account()
        self.assertEqual((account.name, account.received, account.unrouted), ("kv:calls", 4, 0))

    async def test_failures(self) -> None:
        """Retries and dead letters are as for other routes."""
        kv = await self.program()
        attempts: list[int] = []
        letters: list[str] = []

        @self.event_route("kv:calls:*", retries=1, dead_letter="dead")
        def fail(event: Event) -> None:
            attempts.append(event.attempts)
            raise ZeroDivisionError

        self.event_route("nats:dead")(lambda event: letters.append(event.text()))
        await self.connect_service(self.event_route, subject_queue_group="dead")
        await kv.put("a", "value")
        await self.until(lambda: letters)
        self.assertEqual((attempts, letters), ([1, 2], ["value"]))
        self.flushLoggedErrors(ZeroDivisionError)

    async def test_restarts_of_the_server(self) -> None:
        """No change is missing, and none comes twice."""
        kv = await self.program()
        self.event_route("kv:calls:>")(self.keep)
        service = await self.connect_service(self.event_route)
        stored = 0
        for turn in range(2):
            for number in range(20):
                stored = await kv.put(f"k{number}", str(turn))
            await self.server.stop()
            await self.server.start()
            await self.until(lambda: service.connected)
        await self.until(lambda: self.changes and self.changes[-1][3] == stored)
        revisions = [revision for *_, revision in self.changes]
        self.assertEqual(revisions, list(range(1, stored + 1)))

    async def test_restart_of_the_service(self) -> None:
        """It goes on behind the last change."""
        kv = await self.program()
        self.event_route("kv:calls:>")(self.keep)
        service = await self.connect_service(self.event_route)
        await kv.put("a", "1")
        await self.until(lambda: self.changes)
        await service.stopService()
        await kv.put("a", "2")
        service.startService()
        await self.until(lambda: len(self.changes) == 2)
        self.assertEqual(self.changes, [("a", "1", "put", 1), ("a", "2", "put", 2)])

    async def test_no_bucket(self) -> None:
        """Readiness says so, until there is one."""
        self.event_route("kv:later:>")(self.keep)
        service = await self.connect_service(self.event_route)
        await self.until(lambda: any("there is no bucket 'later'" in str(one) for one in service.overview().reasons))
        other = await self.connect_service()
        kv = other.key_value("later", create=True)
        await kv.put("a", "1")
        await self.until(lambda: self.changes)
        await self.until(lambda: service.overview().ready)

    async def test_a_bucket_that_is_created(self) -> None:
        self.event_route("kv:ours:>")(self.keep)
        service = await self.connect_service(self.event_route, jetstream_create=True)
        await service.key_value("ours").put("a", "1", ttl=4)
        await self.until(lambda: len(self.changes) == 2)
        self.assertEqual([operation for _, _, operation, _ in self.changes], ["put", "purge"])

    async def test_a_slow_route(self) -> None:
        """The changes wait for it, and come in order."""
        kv = await self.program()
        busy: Deferred[None] = Deferred()

        @self.event_route("kv:calls:>")
        async def slow(event: Any) -> None:
            self.keep(event)
            if len(self.changes) == 1:
                await busy

        service = await self.connect_service(self.event_route)
        for number in range(10):
            await kv.put(f"a{number}", str(number))  # of one key, the bucket would keep five
        await self.until(lambda: self.consumer(service).source.pending == 9)
        busy.callback(None)
        await self.until(lambda: len(self.changes) == 10)
        self.assertEqual([value for _, value, _, _ in self.changes], [str(number) for number in range(10)])
