"""Servers that die, come back, are not there, or are no servers."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import parse_url
from natsroute.client.status import State
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.wire.frames import Msg
from tests.support.cases import LogRecorder, RealServerTestCase, until


class CrashTests(RealServerTestCase):
    """SIGKILL of nats-server, and a new one in its place."""

    async def subscriber(self, subject: str) -> list[bytes]:
        """What an independent subscriber sees, that is back before natsroute is."""
        seen: list[bytes] = []

        def see(msg: Msg) -> None:
            seen.append(msg.data)

        self.watching = Connection(self.reactor, ServerPool([parse_url(self.url)], Backoff(0.05, 0.05, 0.0)))
        self.watching.subscribe(subject, see)
        self.watching.startService()
        self.addCleanup(self.watching.stopService)
        await self.until(lambda: self.watching.state is State.CONNECTED)
        return seen

    async def test_crash_in_the_middle_of_50_000_confirmed_publishes(self) -> None:
        """Every Deferred fires, and every message reached a subscriber that was there."""
        seen = await self.subscriber("numbers.*")
        service = await self.start(reconnect_wait=3.0)
        total, window = 50_000, 5_000
        outcomes: list[object] = []
        waiting: set[int] = set()
        for number in range(total):
            if len(waiting) >= window:
                await self.until(lambda: len(waiting) < window)
            waiting.add(number)

            def ended(outcome: object, number: int = number) -> None:
                waiting.discard(number)
                outcomes.append(outcome)

            service.publish(f"numbers.{number % 10}", b"%d" % number).addBoth(ended)
            if number == total // 2:
                await self.until(lambda: service.publisher.account().confirmed > total // 3)
                self.kill_server()
                await self.until(lambda: self.watching.state is not State.CONNECTED)
                await deferLater(self.reactor, 2.0)
                await self.restart_server()
                await self.until(lambda: self.watching.state is State.CONNECTED)
                self.assertFalse(service.connected)
        await self.until(lambda: len(outcomes) == total)
        self.assertEqual(set(outcomes), {None})
        self.assertGreater(service.publisher.account().resent, 0)
        await self.until(lambda: len(set(seen)) == total)
        # A resend may repeat messages, and only those; leaving the repeats out, each subject is in order.
        self.assertLessEqual(len(seen) - total, service.publisher.account().resent)
        for subject in range(10):
            first_seen = dict.fromkeys(int(data) for data in seen if int(data) % 10 == subject)
            self.assertEqual(list(first_seen), sorted(first_seen))

    async def test_consumers_are_back(self) -> None:
        """With their queue groups, after every crash; natsroute tells its routes."""
        event_route, arrived, connected = EventRoutes(), [], []
        event_route("nats:a")(lambda event: arrived.append(event.data))
        event_route("nats:connected")(lambda event: connected.append(event.server))
        service = await self.start(
            event_route,
            subject_queue_group=["a:q", "a:q"],
            reconnect_wait=0.05,
            num_publish_workers=1,
            publish_resend_window=0,
        )
        for crash in range(3):
            for number in range(20):
                await service.publish("a", b"%d.%d" % (crash, number))
            await self.until(lambda crash=crash: len(arrived) == 20 * (crash + 1))
            self.kill_server()
            await self.until(lambda: not service.connected)
            await self.restart_server()
            await self.until(lambda: service.connected)
        self.assertEqual(sorted(set(arrived)), sorted(arrived), "the queue group is shared again, not copied")
        self.assertEqual(len(connected), 3 * 4)

    async def test_no_server_at_the_start(self) -> None:
        """It starts, says so once, keeps what is published, and goes on when the server comes."""
        log = LogRecorder(self)
        self.kill_server()
        event_route, arrived = EventRoutes(), []
        event_route("nats:a")(lambda event: arrived.append(event.data))
        service = NatsrouteService(
            Settings(nats_url=self.url, subject_queue_group=["a"], reconnect_wait=0.05, reconnect_max_wait=0.05),
            event_route,
        )
        service.startService()
        self.addCleanup(service.stopService)
        await deferLater(self.reactor, 0.5)
        self.assertEqual(len(log.matching("Cannot use")), 1)
        await self.restart_server()
        await self.until(lambda: service.connected)
        await service.publish("a", b"here")
        await self.until(lambda: arrived == [b"here"])

    async def test_failover(self) -> None:
        """With two servers, the death of one costs no waiting."""
        second = EmbeddedServer(self.reactor)
        self.addCleanup(second.stopService)
        await second.start()
        service = await self.start(
            nats_url=[self.url, second.url], keep_url_order=True, reconnect_wait=30.0, num_publish_workers=1
        )
        self.kill_server()
        await service.publish("a", b"")
        self.assertEqual(service.publisher.account().confirmed, 1)

    async def test_random_crashes(self) -> None:
        """Five crashes at random moments: nothing that was published is left without an answer."""
        chance = random.Random(2)
        service = await self.start(reconnect_wait=0.05, num_publish_workers=2)
        outcomes: list[object] = []
        total = 0
        for _ in range(5):
            for _ in range(chance.randrange(1, 2_000)):
                service.publish(f"s.{total % 7}", b"%d" % total).addBoth(outcomes.append)
                total += 1
            await deferLater(self.reactor, chance.random() * 0.02)
            self.kill_server()
            await self.until(lambda: not service.connected)
            await self.restart_server()
        await self.until(lambda: len(outcomes) == total)
        self.assertEqual(set(outcomes), {None})


class _Hostile(Protocol):
    """Says something, whatever it is told."""

    factory: Any

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.factory.says)


INFO = b'INFO {"server_id":"X","max_payload":1024,"headers":true}\r\n'


class HostileServerTests(TestCase):
    """What is at the other end is no NATS server."""

    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.log = LogRecorder(self)

    async def meet(self, says: bytes) -> NatsrouteService:
        """A service whose server says this and nothing else."""
        factory: Any = Factory.forProtocol(_Hostile)
        factory.says = says
        factory.noisy = False
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"nats://127.0.0.1:{port.getHost().port}"
        service = NatsrouteService(
            Settings(nats_url=url, num_publish_workers=1, connect_timeout=0.2, reconnect_wait=0.02)
        )
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def test_one_line_each_and_the_service_lives(self) -> None:
        for says, told in [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not a NATS command"),
            (b"x" * 100_000, "a line of more than"),
            (b"INFO {}" + b" " * 200_000, "a line of more than"),
            (b"INFO {\r\n", "INFO is not JSON"),
            (INFO + b"MSG a 1 -5\r\n", "not a number"),
            (INFO + b"HMSG a 1 10 5\r\nxxxxx\r\n", "a header longer than its message"),
            (INFO + b"MSG a 1 99999999\r\n", "above max_payload"),
            (b"PONG\r\n" + INFO, "a PONG that nobody asked for"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", "CR LF"),
            (b'INFO {"tls_required":true}\r\n', "no PONG within 0.2 s, after TLS was begun"),
            (b"", "no INFO within 0.2 s"),
            (INFO, "no PONG within 0.2 s"),
        ]:
            service = await self.meet(says)
            await until(lambda told=told: self.log.matching(told), self.reactor)
            await deferLater(self.reactor, 0.1)
            self.assertEqual(len(self.log.matching(told)), 1, says[:40])
            self.assertTrue(service.running)
            self.log.events.clear()
            await service.stopService()

    async def test_messages_that_nobody_subscribed_to(self) -> None:
        """They are passed over."""
        service = await self.meet(INFO + b"PONG\r\nMSG a 99 2\r\nhi\r\n")
        await until(lambda: service.connected or self.log.matching("Cannot use"), self.reactor)
        self.assertEqual(self.log.matching("Cannot use"), [])


class BackpressureTests(RealServerTestCase):
    """A consumer that does not read, and what the server makes of it."""

    async def test_a_handler_that_hangs_does_not_hinder_the_end(self) -> None:
        event_route = EventRoutes()
        hangs: list[Event] = []

        @event_route("nats:a")
        def hang(event: Event) -> Deferred[None]:
            hangs.append(event)
            return Deferred()

        service = await self.start(event_route, subject_queue_group=["a"], pending_max_messages=10)
        await gatherResults([service.publish("a", b"x" * 1024) for _ in range(2_000)])
        await self.until(lambda: hangs and service.consumers[0].subscription.pending > 10)
        before = self.reactor.seconds()
        await service.stopService()
        self.assertLess(self.reactor.seconds() - before, 5.0)
