"""Publishing to real nats-servers that refuse messages, or that close the connection because of them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import (
    HeaderError,
    NatsrouteError,
    PayloadTooLargeError,
    PermissionsError,
    PublishError,
    PublisherStoppedError,
    ServerProtocolError,
)
from tests.chaos.proxy import ProxiedConnection, Proxy
from tests.support.nats_accounts import Operator
from tests.support.server_case import OneServerTestCase

FAST = {"num_publish_workers": 1, "reconnect_wait": 0.02, "reconnect_max_wait": 0.05}


async def outcomes(waits: list[Deferred[None]]) -> list[type[BaseException] | None]:
    """Wait for publishes; gives the type of each failure, or None."""
    results: Any = await DeferredList(waits, consumeErrors=True)
    return [None if succeeded else result.type for succeeded, result in results]


class MappingTests(OneServerTestCase):
    """An account that maps subjects; the server names the mapped ones."""

    config = """
    accounts: { A: {
      mappings: { "in.*": "out.$1" }
      users: [
        {user: listener, password: p}
        {user: publisher, password: p, permissions: {publish: {deny: ["out.secret", "refused"]}}}
      ]
    } }
    """

    async def test_refused_under_another_name(self) -> None:
        """Only the refused message fails; all others arrive."""
        event_route = EventRoutes()
        arrived: list[bytes] = []
        event_route("nats:out.*")(lambda event: arrived.append(event.data))
        await self.connect_service(event_route, subject_queue_group=["out.*"], user="listener", password="p")
        service = await self.connect_service(user="publisher", password="p", **FAST)
        subjects = ["in.a", "in.b", "in.secret", "in.c"]
        results = await outcomes([service.publish(subject, subject) for subject in subjects])
        self.assertEqual(results, [None, None, PermissionsError, None])
        await self.until(lambda: {b"in.a", b"in.b", b"in.c"} <= set(arrived))
        self.assertNotIn(b"in.secret", arrived)
        self.assertEqual(service.ledger().differences(), [])

    async def test_a_reply_subject_that_is_refused_to_others(self) -> None:
        """The message with that reply subject is delivered, and confirmed."""
        service = await self.connect_service(user="publisher", password="p", **FAST)
        results = await outcomes([service.publish("a", b"", "refused"), service.publish("refused", b"")])
        self.assertEqual(results, [None, PermissionsError])


class NoHeadersTests(OneServerTestCase):
    """no_header_support"""

    config = "no_header_support: true"

    async def test_refused(self) -> None:
        """The connection stays."""
        service = self.start_service(nats_url=self.url, **FAST)
        waits = [service.publish("a", b"", headers={"N": "v"}), service.publish("a", b"")]
        self.assertEqual(await outcomes(waits), [HeaderError, None])
        later = [service.publish("a", b"", headers={"N": "v"}), service.publish("a", lambda: b"", headers={"N": "v"})]
        self.assertEqual(await outcomes(later), [HeaderError, HeaderError])
        self.assertEqual(service.connections[0].reconnects, 0)


class ControlLineTests(OneServerTestCase):
    """A small max_control_line, which a server does not announce."""

    config = "max_control_line: 512"

    async def test_a_long_subject(self) -> None:
        """The message fails with what the server says, and all others of the batch are confirmed."""
        service = await self.connect_service(**FAST)
        long = "x" * 600
        waits = [service.publish(long if number == 37 else f"s{number}", b"") for number in range(100)]
        results = await outcomes(waits)
        self.assertEqual([number for number, result in enumerate(results) if result is not None], [37])
        self.assertIs(results[37], ServerProtocolError)
        await service.publish("after", b"")


class PayloadLimitTests(OneServerTestCase):
    """The JWT of a user limits payloads; the server announces it behind the PONG of the handshake."""

    def setUp(self) -> Any:
        self.operator = Operator()
        self.config = self.operator.config
        return super().setUp()

    async def connect_limited(self) -> NatsrouteService:
        creds = Path(self.mktemp())
        creds.write_text(self.operator.creds("limited", None, {"payload": 1000}), "utf-8")
        return self.start_service(nats_url=self.url, creds_file=str(creds), **FAST)

    async def test_published_before_the_limit_is_known(self) -> None:
        """Only the message that is too large fails."""
        service = await self.connect_limited()
        waits = [service.publish("a", b"x" * size) for size in (10, 2000, 1000)]
        results = await outcomes(waits)
        self.assertEqual(results, [None, PayloadTooLargeError, None])
        self.assertLessEqual(service.connections[0].reconnects, 1)

    async def test_published_afterwards(self) -> None:
        """It fails at once, and the connection stays."""
        service = await self.connect_limited()
        await self.until(lambda: service.connections[0].max_payload == 1000)
        waits = [service.publish("a", b"x" * size) for size in (10, 2000, 1000)]
        self.assertEqual(await outcomes(waits), [None, PayloadTooLargeError, None])
        self.assertEqual(service.connections[0].reconnects, 0)


class KilledServerTests(OneServerTestCase):
    """nats-server is killed with SIGKILL each time that the same batch is written, before the confirmation arrives."""

    kills = 8

    async def publish_between_kills(self, count: int) -> NatsrouteService:
        """Publish a batch whose confirmations do not arrive until all kills are over; gives the service."""
        proxy = Proxy(self.reactor, self.server.port)
        proxy.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(proxy.stop()))
        service = self.start_service(nats_url=proxy.url, **FAST)
        stalled: list[tuple[ProxiedConnection, int]] = []  # each with the bytes before the batch

        def on_change(change: Change) -> None:
            if change.event is ConnectionEvent.CONNECTED and len(stalled) < self.kills:
                proxied = proxy.connections[-1]
                proxied.to_client.stall()
                stalled.append((proxied, proxied.to_server.passed))

        service.connections[0].observe(on_change)
        waits = [service.publish(f"s{number}", b"") for number in range(count)]
        for number in range(self.kills):
            await self.until(lambda number=number: len(stalled) > number)
            proxied, before = stalled[number]
            await self.until(lambda proxied=proxied, before=before: proxied.to_server.passed > before)
            await self.server.kill()
            proxied.cut()
            await self.server.start()
        self.assertEqual(await outcomes(waits), [None] * count)
        self.assertEqual(service.connections[0].reconnects, self.kills)
        self.assertEqual(service.ledger().differences(), [])
        return service

    async def test_a_single_message(self) -> None:
        """It does not fail."""
        service = await self.publish_between_kills(1)
        self.assertEqual(service.publisher.account().resent, self.kills)

    async def test_a_batch(self) -> None:
        """Nothing fails, and the batch is not divided: each time all of it is sent again."""
        service = await self.publish_between_kills(100)
        self.assertEqual(service.publisher.account().resent, 100 * self.kills)


class _MutingProxy(Proxy):
    """Swallows what the server says when it closes a connection."""

    def buildProtocol(self, addr: object) -> Protocol:
        protocol = super().buildProtocol(addr)
        flow = self.connections[-1].to_client
        take = flow.take
        flow.take = lambda data: take(data.partition(b"-ERR")[0])  # type: ignore[method-assign]
        return protocol


class SilentServerTests(OneServerTestCase):
    """A server that closes the connection because of a message, and whose words get lost."""

    config = "max_control_line: 512"

    async def test_a_long_subject(self) -> None:
        """The message fails after several connections, and all others are confirmed."""
        proxy = _MutingProxy(self.reactor, self.server.port)
        proxy.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(proxy.stop()))
        service = self.start_service(nats_url=proxy.url, **FAST)
        long = "x" * 600
        waits = [service.publish(long if number == 37 else f"s{number}", b"") for number in range(100)]
        results = await outcomes(waits)
        self.assertEqual([number for number, result in enumerate(results) if result is not None], [37])
        self.assertIs(results[37], PublishError)
        await service.publish("after", b"")


class RestartTests(OneServerTestCase):
    """A service is stopped and started with messages in flight."""

    async def test_stopped_and_started(self) -> None:
        """Every Deferred fires; whatever the stop interrupts fails, and publishing works after each start."""
        chance = random.Random(5)
        service = await self.connect_service(reconnect_wait=0.02, num_publish_workers=2, publish_resend_window=0.05)
        results: list[object] = []
        total = 0

        def publish(count: int) -> None:
            nonlocal total
            for _ in range(count):
                payload: object = chance.choice([b"x", {"n": total}, lambda: b"y"])
                service.publish(f"s{total % 7}", payload).addBoth(results.append)
                total += 1

        for round_ in range(6):
            publish(chance.randrange(300))
            await deferLater(self.reactor, chance.random() * 0.02)
            publish(chance.randrange(300))
            stopped = service.stopService()
            if round_ % 2:
                service.startService()
            publish(5)
            await stopped
            if not round_ % 2:
                service.startService()
            if round_ == 3:
                await self.server.kill()
                await self.server.start()
            publish(3)
            await service.publish("after", b"")
        await self.until(lambda: len(results) == total)
        failures = [result for result in results if isinstance(result, Failure)]
        self.assertEqual({failure.type for failure in failures} - {PublisherStoppedError}, set())
        self.assertTrue(all(isinstance(failure.value, NatsrouteError) for failure in failures))
        self.assertGreater(len(results) - len(failures), total // 3)
        self.assertEqual(service.ledger().differences(), [])

    async def test_publish_before_the_start(self) -> None:
        """It is confirmed when the service is connected."""
        service = await self.connect_service()
        await service.stopService()
        fresh = NatsrouteService(Settings(nats_url=self.url))
        wait = fresh.publish("a", b"")
        await deferLater(self.reactor, 0.05)
        self.assertFalse(wait.called)
        fresh.startService()
        self.addCleanup(fresh.stopService)
        await wait
