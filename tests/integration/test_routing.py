"""Messages to event routes and what the routes publish, on a real nats-server"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread

from natsroute import Event, EventRoutes
from natsroute.client.state import ConnectionEvent
from natsroute.client.transport.plain_tcp import BUSY_READ_SIZE
from natsroute.errors import PayloadTooLargeError, PermissionsError
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase

callback_events: list[Event] = []


def callback(event: Event) -> int:
    """An event_callback, which the service finds by its name."""
    callback_events.append(event)
    return 1


class RoutingTests(OneServerTestCase):
    """Each message comes to its route."""

    # By default a server cuts a client off that has not read for 10 s. The machine may be slow.
    config = 'write_deadline: "300s"'

    def setUp(self) -> Deferred[Any]:
        self.event_route = EventRoutes()
        self.arrived: list[Any] = []
        return super().setUp()

    def collect(self, name: str, **options: Any) -> None:
        """Add a route that collects the payloads."""
        self.event_route(name, **options)(lambda event: self.arrived.append(event.data))

    async def test_relay_keeps_every_message_in_order(self) -> None:
        """20,000 numbered messages go through a route that publishes them again. None is lost or out of order."""

        @self.event_route("nats:in")
        def relay(event: Event) -> None:
            event.publish("out", event.data)

        self.collect("nats:out")
        service = await self.connect_service(self.event_route, subject_queue_group=["in:q", "out"])
        sent = [b"%d" % number for number in range(20_000)]
        await gatherResults([service.publish("in", number) for number in sent])
        await self.until(lambda: len(self.arrived) >= len(sent))
        self.assertEqual(self.arrived, sent)

    async def test_order_through_a_coroutine_that_waits(self) -> None:
        """One message at a time: the next one begins when this one is confirmed."""

        @self.event_route("nats:in")
        async def relay(event: Event) -> None:
            await event.publish("out", event.data)

        self.collect("nats:out")
        service = await self.connect_service(self.event_route, subject_queue_group=["in", "out"])
        sent = [b"%d" % number for number in range(2_000)]
        await gatherResults([service.publish("in", number) for number in sent])
        await self.until(lambda: len(self.arrived) >= len(sent))
        self.assertEqual(self.arrived, sent)

    async def test_binary_payloads(self) -> None:
        """Empty, with NUL bytes, with line ends, and of exactly max_payload."""
        self.collect("nats:a")
        service = await self.connect_service(self.event_route, subject_queue_group=["a"])
        payloads = [b"", b"\0", b"a\0b", b"\r\n", b"MSG a 1 5\r\n", bytes(range(256)), b"\0" * 1024 * 1024]
        for payload in payloads:
            await service.publish("a", payload)
        await self.until(lambda: len(self.arrived) == len(payloads))
        self.assertEqual(self.arrived, payloads)
        await self.assertFailure(service.publish("a", b"x" * (1024 * 1024 + 1)), PayloadTooLargeError)

    async def test_queue_groups(self) -> None:
        """The members of a group share its messages. Each group gets all messages; so does a consumer without one."""
        self.event_route("nats:a")(lambda event: self.arrived.append((event.queue_group, event.data)))
        service = await self.connect_service(self.event_route, subject_queue_group=["a:one", "a:one", "a:two", "a"])
        sent = [b"%d" % number for number in range(100)]
        await gatherResults([service.publish("a", number) for number in sent])
        await self.until(lambda: len(self.arrived) == 300)
        for group in ("one", "two", None):
            self.assertEqual(sorted(data for name, data in self.arrived if name == group), sorted(sent))
        shares = [consumer.source.received for consumer in service.consumers]
        self.assertEqual(shares[0] + shares[1], 100)
        self.assertEqual(shares[2:], [100, 100])

    async def test_wildcards_and_a_thousand_routes(self) -> None:
        """Each message comes to its own route. A message without a route is counted."""
        for number in range(1000):
            self.event_route(f"nats:many.{number}")(lambda event, number=number: self.arrived.append(number))
        self.event_route("nats:many.*")(lambda event: self.arrived.append(event.subject))
        service = await self.connect_service(self.event_route, subject_queue_group=["many.>"])
        for number in range(1000):
            service.publish(f"many.{number}", b"")
        await service.publish("many.other", b"")
        await service.publish("many.too.deep", b"")
        await self.until(lambda: service.consumers[0].source.received == 1002)
        self.assertEqual(sorted(map(str, self.arrived)), sorted([*map(str, range(1000)), "many.other"]))
        self.assertEqual(service.ledger().consumers[0].unrouted, 1)

    async def test_reply_and_headers(self) -> None:
        """A route sees the subject and headers of the message, and its answer goes to the reply subject."""

        @self.event_route("nats:ask.*")
        def answer(event: Event) -> Deferred[None]:
            return event.respond({"asked": event.subject}, headers={"Seen": event.headers.get_all("N")})

        self.event_route("nats:inbox")(lambda event: self.arrived.append((event.json(), event.headers.get_all("Seen"))))
        service = await self.connect_service(self.event_route, subject_queue_group=["ask.*", "inbox"])
        await service.publish("ask.x", b"?", reply="inbox", headers={"N": ["1", "2"]})
        await self.until(lambda: self.arrived)
        self.assertEqual(self.arrived, [({"asked": "ask.x"}, ["1", "2"])])

    async def test_in_a_thread(self) -> None:
        """A blocking route publishes from its thread. It may wait there for the confirmation."""

        @self.event_route("nats:in", thread=True)
        def blocking(event: Event) -> None:
            blockingCallFromThread(self.reactor, event.publish, "out", event.data + b" waited")
            event.publish("out", event.data)

        self.collect("nats:out")
        service = await self.connect_service(self.event_route, subject_queue_group=["in", "out"])
        for number in range(10):
            service.publish("in", b"%d" % number)
        await self.until(lambda: len(self.arrived) == 20)
        self.assertEqual(self.arrived, [b"%d%b" % (n, end) for n in range(10) for end in (b" waited", b"")])

    async def test_concurrency(self) -> None:
        """No more than five calls at once."""
        running: list[Deferred[None]] = []

        @self.event_route("nats:a", concurrency=5)
        def slow(event: Event) -> Deferred[None]:
            running.append(Deferred())
            return running[-1]

        service = await self.connect_service(self.event_route, subject_queue_group=["a"])
        await gatherResults([service.publish("a", b"") for _ in range(20)])
        await self.until(lambda: service.consumers[0].source.received == 20)
        self.assertEqual(len(running), 5)
        while service.ledger().consumers[0].succeeded < 20:
            running.pop(0).callback(None)
            self.assertLessEqual(len(service.in_flight.running), 5)

    async def test_connection_events(self) -> None:
        """They come for each connection, also the first, and have the URL of the server without credentials."""
        for name in ("nats:connected", "nats:disconnected"):
            self.event_route(name)(lambda event: self.arrived.append((event.name, event.server)))
        await self.connect_service(
            self.event_route,
            nats_url=self.url.replace("//", "//user:secret@"),
            subject_queue_group=["a", "b:q"],
            num_publish_workers=3,
        )
        self.assertEqual(self.arrived, [("nats:connected", self.url)] * 5)
        self.arrived.clear()
        self.server.kill()
        await self.until(lambda: len(self.arrived) == 5)
        self.assertEqual(self.arrived, [("nats:disconnected", self.url)] * 5)

    async def test_event_callback(self) -> None:
        """It is called instead of routes: for messages, with the configured subject, and for connection events."""
        callback_events.clear()
        service = await self.connect_service(
            subject_queue_group=["a.*:q"], event_callback=f"{__name__}:callback", num_publish_workers=1
        )
        await service.publish("a.b", b"hi")
        await self.until(lambda: len(callback_events) == 3)
        self.assertEqual(
            [(event.name, event.subject, event.data) for event in callback_events],
            [("nats:connected", "", b""), ("nats:connected", "", b""), ("nats:a.*", "a.b", b"hi")],
        )

    async def test_failing_and_hanging_routes(self) -> None:
        """Each has a line in the log, the same error once and then counted; and the other consumers go on."""
        log = LogRecorder(self)
        self.event_route("nats:fails")(lambda event: event.json()["no"])
        self.event_route("nats:hangs")(lambda event: Deferred())
        self.collect("nats:a")
        service = await self.connect_service(
            self.event_route, subject_queue_group=["fails", "hangs", "a"], slow_route_warning=0.1
        )
        for payload in (b"junk", b"\xff", b"{}"):
            await service.publish("fails", payload)
        for _ in range(3):
            await service.publish("hangs", b"")
        await self.until(lambda: service.ledger().consumers[0].failed == 3 and log.matching("still running"))
        await service.publish("a", b"alive")
        await self.until(lambda: self.arrived == [b"alive"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(len(log.matching("is not JSON")), 1)
        self.assertEqual(len(log.matching("still running")), 1)
        await service.stopService()
        self.assertEqual(len(log.matching("Event route nats:fails failed with DecodeError 1 more times")), 1)

    async def test_slow_route_pauses_reading(self) -> None:
        """Its queue holds no more than its limit and one read. Nothing is lost when the route goes on."""
        first: Deferred[None] = Deferred()

        @self.event_route("nats:a")
        def slow(event: Event) -> Deferred[None] | None:
            self.arrived.append(len(event.data))
            return first if len(self.arrived) == 1 else None

        service = await self.connect_service(self.event_route, subject_queue_group=["a:q"], pending_max_messages=100)
        total, payload = 20_000, b"x" * 1024
        for _ in range(total // 2_000):
            await gatherResults([service.publish("a", payload) for _ in range(2_000)])
        subscription = service.consumers[0].source
        await self.until(lambda: subscription.pending > 100)
        highest = 0
        for _ in range(20):
            highest = max(highest, subscription.pending)
            await deferLater(self.reactor, 0.01)
        self.assertLess(highest, 100 + BUSY_READ_SIZE // len(payload) + 1)
        self.assertLess(subscription.received, total)
        first.callback(None)
        await self.until(lambda: len(self.arrived) == total)

    async def test_routes_faster_than_the_publisher(self) -> None:
        """A route that publishes and never waits is slowed down before the publisher's buffer is full."""

        @self.event_route("nats:in")
        def fan_out(event: Event) -> None:
            for _ in range(10):
                event.publish("out", event.data).addErrback(self.arrived.append)

        service = await self.connect_service(
            self.event_route, subject_queue_group=["in"], publish_max_messages=20_000, num_publish_workers=1
        )
        other = await self.connect_service(num_publish_workers=1)
        for _ in range(5):
            await gatherResults([other.publish("in", b"x" * 16) for _ in range(2_000)])
        await self.until(lambda: service.publisher.account().confirmed == 100_000)
        self.assertEqual((self.arrived, service.publisher.account().failed), ([], 0))


class PermissionTests(OneServerTestCase):
    """A server with permissions."""

    config = """authorization {
        timeout: 60  # seconds for a login: the machine may be busy
        users = [{user: u, password: "p@ss", permissions: {publish: {deny: ["secret.>"]}}}]
    }"""

    async def test_denied_subject(self) -> None:
        """Its Deferred fails. The connection and the other messages are not affected."""
        service = await self.connect_service(nats_url=self.url.replace("//", "//u:p%40ss@"), num_publish_workers=1)
        waits = [service.publish(subject, b"") for subject in ("open.a", "secret.a", "open.b", "secret.b")]
        for denied in (waits[1], waits[3]):
            await self.assertFailure(denied, PermissionsError)
        await gatherResults([waits[0], waits[2]])
        self.assertEqual(
            (
                service.publisher.account().confirmed,
                service.publisher.account().failed,
                service.publisher.account().resent,
            ),
            (2, 2, 0),
        )

    async def test_denied_subjects_that_the_server_quotes(self) -> None:
        """Bytes that are not UTF-8, characters that cannot be printed, and a name that quoting makes longer."""
        service = await self.connect_service(nats_url=self.url.replace("//", "//u:p%40ss@"), num_publish_workers=1)
        subjects = ["secret.\udcff", 'secret."\\', "secret.\x85\u200b", "secret." + "\udcff" * 2000]
        for subject in subjects:
            await self.assertFailure(service.publish(subject, b""), PermissionsError)
        await service.publish("open", b"")
        account = service.ledger().publisher
        self.assertEqual((account.confirmed, account.failed, account.resent), (1, 4, 0))

    async def test_wrong_password(self) -> None:
        """The log has one line for it, without the password, and the service keeps trying."""
        log = LogRecorder(self)
        url = self.url.replace("//", "//u:wrong-one@")
        service = self.start_service(nats_url=url, reconnect_wait=0.05, login_wait=0.05)
        attempts: list[object] = []
        service.connections[0].observe(lambda change: attempts.append(change.event))
        await self.until(lambda: len(attempts) >= 3)
        self.assertEqual(set(attempts), {ConnectionEvent.CONNECT_FAILED})
        self.assertEqual(len(log.matching("Authorization Violation")), 1)
        self.assertEqual(log.matching("wrong-one"), [])
