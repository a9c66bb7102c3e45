"""Servers that crash, that come back, that are not there, and that do not speak NATS"""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import parse_url
from natsroute.client.state import State
from natsroute.wire.frames import Msg
from tests.chaos.proxy import Proxy
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase, ServerTestCase
from tests.support.waiting import until


class CrashTests(OneServerTestCase):
    """nats-server is killed with SIGKILL and started again on the same port."""

    async def start_subscriber(self, subject: str) -> list[bytes]:
        """What an independent subscriber sees."""
        seen: list[bytes] = []

        def see(msg: Msg) -> None:
            seen.append(msg.data)

        self.subscriber_connection = Connection(
            self.reactor, ServerPool([parse_url(self.url)], Backoff(0.05, 0.05, 0.0))
        )
        self.subscriber_connection.subscribe(subject, see)
        self.subscriber_connection.startService()
        self.addCleanup(self.subscriber_connection.stopService)
        await self.until(lambda: self.subscriber_connection.state is State.CONNECTED)
        return seen

    async def test_crash_in_the_middle_of_50_000_confirmed_publishes(self) -> None:
        """Every Deferred fires, and every message reaches a connected subscriber."""
        seen = await self.start_subscriber("numbers.*")
        proxy = Proxy(self.reactor, self.server.port)
        proxy.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(proxy.stop()))
        service = await self.connect_service(nats_url=proxy.url, reconnect_wait=0.05, reconnect_max_wait=0.2)
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
                proxy.refuse()
                self.server.kill()
                await self.until(lambda: self.subscriber_connection.state is not State.CONNECTED)
                await deferLater(self.reactor, 2.0)
                await self.server.restart()
                await self.until(lambda: self.subscriber_connection.state is State.CONNECTED)
                self.assertFalse(service.connected)
                proxy.accept()
        await self.until(lambda: len(outcomes) == total)
        self.assertEqual(set(outcomes), {None})
        self.assertGreater(service.publisher.account().resent, 0)
        await self.until(lambda: len(set(seen)) == total)
        # Only messages that were sent again may be repeated. Without the repeats, each subject is in order.
        self.assertLessEqual(len(seen) - total, service.publisher.account().resent)
        for subject in range(10):
            first_seen = dict.fromkeys(int(data) for data in seen if int(data) % 10 == subject)
            self.assertEqual(list(first_seen), sorted(first_seen))

    async def test_consumers_are_back(self) -> None:
        """After each crash the consumers are back, with their queue groups, and routes get nats:connected."""
        event_route, arrived, connected = EventRoutes(), [], []
        event_route("nats:a")(lambda event: arrived.append(event.data))
        event_route("nats:connected")(lambda event: connected.append(event.server))
        service = await self.connect_service(
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
            self.server.kill()
            await self.until(lambda: not service.connected)
            await self.server.restart()
            await self.until(lambda: service.connected)
        self.assertEqual(
            sorted(set(arrived)), sorted(arrived), "the members of the queue group must share the messages"
        )
        self.assertEqual(len(connected), 3 * 4)

    async def test_no_server_at_the_start(self) -> None:
        """The service starts, logs it once, keeps what is published, and goes on when the server is there."""
        log = LogRecorder(self)
        await self.server.kill()  # it may still accept a connection before it has ended
        event_route, arrived = EventRoutes(), []
        event_route("nats:a")(lambda event: arrived.append(event.data))
        service = self.start_service(
            event_route, nats_url=self.url, subject_queue_group=["a"], reconnect_wait=0.05, reconnect_max_wait=0.05
        )
        await self.until(lambda: log.matching("Cannot use"))
        await deferLater(self.reactor, 0.5)
        self.assertEqual(len(log.matching("Cannot use")), 1)
        await self.server.restart()
        await self.until(lambda: service.connected)
        await service.publish("a", b"here")
        await self.until(lambda: arrived == [b"here"])

    async def test_failover(self) -> None:
        """With two servers, nothing waits when one of them dies."""
        second = await self.start_server()
        service = await self.connect_service(
            nats_url=[self.url, second.url], keep_url_order=True, reconnect_wait=30.0, num_publish_workers=1
        )
        self.server.kill()
        await service.publish("a", b"")
        self.assertEqual(service.publisher.account().confirmed, 1)

    async def test_random_crashes(self) -> None:
        """Five crashes at random moments. Every Deferred fires."""
        chance = random.Random(2)
        service = await self.connect_service(reconnect_wait=0.05, num_publish_workers=2)
        outcomes: list[object] = []
        total = 0
        for _ in range(5):
            for _ in range(chance.randrange(1, 2_000)):
                service.publish(f"s.{total % 7}", b"%d" % total).addBoth(outcomes.append)
                total += 1
            await deferLater(self.reactor, chance.random() * 0.02)
            self.server.kill()
            await self.until(lambda: not service.connected)
            await self.server.restart()
        await self.until(lambda: len(outcomes) == total)
        self.assertEqual(set(outcomes), {None})


class _Scripted(Protocol):
    """Sends what its factory has, whatever the client sends."""

    factory: Any

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.factory.data)


INFO = b'INFO {"server_id":"X","max_payload":1024,"headers":true}\r\n'


class NoNatsServerTests(ServerTestCase):
    """What is at the other end does not speak NATS."""

    def setUp(self) -> None:
        super().setUp()
        self.log = LogRecorder(self)

    async def connect_to(self, data: bytes, connect_timeout: float) -> NatsrouteService:
        """Start a service whose server sends these bytes and nothing else."""
        factory: Any = Factory.forProtocol(_Scripted)
        factory.data = data
        factory.noisy = False
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"nats://127.0.0.1:{port.getHost().port}"
        return self.start_service(
            nats_url=url, num_publish_workers=1, connect_timeout=connect_timeout, reconnect_wait=0.02
        )

    async def test_one_log_line_each(self) -> None:
        for data, problem in [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not a NATS command"),
            (b"x" * 100_000, "a line of more than"),
            (b"INFO {}" + b" " * 200_000, "a line of more than"),
            (b"INFO {\r\n", "INFO is not JSON"),
            (INFO + b"MSG a 1 -5\r\n", "not a number"),
            (INFO + b"HMSG a 1 10 5\r\nxxxxx\r\n", "a header longer than its message"),
            (INFO + b"MSG a 1 99999999\r\n", "above max_inbound_payload"),
            (b"PONG\r\n" + INFO, "a PONG without a PING"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", "CR LF"),
            (b'INFO {"tls_required":true}\r\n', "no PONG within 0.2 s, after TLS began"),
            (b"", "no INFO within 0.2 s"),
            (INFO, "no PONG within 0.2 s"),
        ]:
            service = await self.connect_to(data, 0.2 if "within 0.2 s" in problem else 60.0)
            await until(lambda problem=problem: self.log.matching(problem), self.reactor)
            await deferLater(self.reactor, 0.1)
            self.assertEqual(len(self.log.matching(problem)), 1, data[:40])
            self.assertTrue(service.running)
            self.log.events.clear()
            await service.stopService()

    async def test_messages_without_a_subscription(self) -> None:
        """They are ignored."""
        service = await self.connect_to(INFO + b"PONG\r\nMSG a 99 2\r\nhi\r\n", 60.0)
        await until(lambda: service.connected or self.log.matching("Cannot use"), self.reactor)
        self.assertEqual(self.log.matching("Cannot use"), [])


class BackpressureTests(OneServerTestCase):
    """A consumer that does not read."""

    async def test_a_hanging_route_does_not_delay_the_stop(self) -> None:
        event_route = EventRoutes()
        hanging: list[Event] = []

        @event_route("nats:a")
        def hang(event: Event) -> Deferred[None]:
            hanging.append(event)
            return Deferred()

        service = await self.connect_service(event_route, subject_queue_group=["a"], pending_max_messages=10)
        await gatherResults([service.publish("a", b"x" * 1024) for _ in range(2_000)])
        await self.until(lambda: hanging and service.consumers[0].source.pending > 10)
        stopped = service.stopService()
        await self.until(lambda: stopped.called)
