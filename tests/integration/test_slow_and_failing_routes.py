"""Routes that are too slow and routes that fail, on a real nats-server; the ledger counts each message"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.client.subscription import PENDING_POLICIES
from natsroute.errors import (
    ConnectionLostError,
    PendingLimitError,
    PublishDroppedError,
    PublishExpiredError,
    RouteTimeoutError,
    SlowConsumerError,
)
from natsroute.ledger import PublisherAccount
from natsroute.middleware import deduplicate
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase


class SlowRouteTests(OneServerTestCase):
    """More arrives than the route handles."""

    async def blocked_service(
        self, **settings: Any
    ) -> tuple[NatsrouteService, list[bytes], list[Event], Deferred[None]]:
        """A service whose route waits with the first message until the Deferred fires, and then only records."""
        event_route, handled, release = EventRoutes(), list[bytes](), Deferred[None]()
        reported: list[Event] = []
        event_route("nats:slow_consumer")(reported.append)

        @event_route("nats:in")
        async def slow(event: Event) -> None:
            handled.append(event.data)
            if not release.called:
                await release

        service = await self.connect_service(event_route, subject_queue_group=["in:q"], **settings)
        return service, handled, reported, release

    async def test_policies(self) -> None:
        """What is dropped, what is handled, and that the event comes once for each time that the limit is reached."""
        expected = {
            "pause": [b"%d" % number for number in range(100)],
            "drop_oldest": [b"0", *(b"%d" % number for number in range(90, 100))],
            "drop_newest": [b"%d" % number for number in range(11)],
        }
        feeder = await self.connect_service()
        for policy in PENDING_POLICIES:
            log = LogRecorder(self)
            service, handled, reported, release = await self.blocked_service(
                pending_policy=policy, pending_max_messages=10
            )
            await gatherResults([feeder.publish("in", b"%d" % number) for number in range(100)])
            if policy != "pause":
                await self.until(lambda service=service: service.ledger().consumers[0].received == 100)
            await self.until(lambda reported=reported: reported)
            self.assertEqual(service.ledger().differences(), [])
            release.callback(None)
            await self.until(lambda handled=handled, policy=policy: len(handled) == len(expected[policy]))
            self.assertEqual(handled, expected[policy])
            [account] = service.ledger().consumers
            self.assertEqual((account.received, account.dropped), (100, 100 - len(handled)))
            self.assertEqual(service.ledger().differences(), [])
            self.assertGreaterEqual(len(reported), 1)
            self.assertIsInstance(reported[0].error, PendingLimitError)
            self.assertEqual((reported[0].queue_group, reported[0].server), ("q", self.url))
            self.assertEqual(len(log.matching("the routes of in:q are too slow")), 1)
            await service.stopService()


class CutOffTests(OneServerTestCase):
    """A server that buffers little for slow consumers."""

    async def test_cut_off(self) -> None:
        """The cause is reported, and the consumer reconnects."""
        server = await self.start_server('max_pending: 1MB\nwrite_deadline: "300ms"')
        event_route, release, reported, handled = EventRoutes(), Deferred[None](), list[Event](), list[bytes]()
        event_route("nats:slow_consumer")(reported.append)

        @event_route("nats:in")
        async def slow(event: Event) -> None:
            handled.append(event.data[-4:])
            if not release.called:
                await release

        log = LogRecorder(self)
        service = await self.connect_service(
            event_route, subject_queue_group=["in"], nats_url=server.url, pending_max_messages=10, reconnect_wait=0.05
        )
        feeder = await self.connect_service(nats_url=server.url)
        for _ in range(40):
            await gatherResults([feeder.publish("in", b"x" * 100_000) for _ in range(10)])
            if any("Slow Consumer" in line for line in server.log):
                break
        await self.until(lambda: any("Slow Consumer" in line for line in server.log))
        await deferLater(self.reactor, 1.1)  # a shorter pause is no reason to suspect that we were too slow
        release.callback(None)
        await self.until(lambda: any(isinstance(event.error, SlowConsumerError) for event in reported))
        await self.until(lambda: service.connected)
        await feeder.publish("in", b"last")
        await self.until(lambda: handled[-1:] == [b"last"])
        self.assertEqual(len(log.matching("The server probably cut off a slow consumer")), 1)
        self.assertEqual(service.ledger().differences(), [])


class FailingRouteTests(OneServerTestCase):
    """timeout=, retries=, dead_letter= and middleware."""

    async def test_timeout_retries_and_dead_letters(self) -> None:
        """One message is handled in the second attempt, one never; the third waits no longer than it has to."""
        event_route, letters, attempts = EventRoutes(), list[Event](), list[tuple[bytes, int]]()

        @event_route("nats:in", timeout=0.1, retries=1, dead_letter="dead")
        async def moody(event: Event) -> None:
            attempts.append((event.data, event.attempts))
            if event.data == b"never" or (event.data == b"second" and event.attempts == 1):
                await Deferred()

        event_route("nats:dead")(letters.append)
        service = await self.connect_service(event_route, subject_queue_group=["in", "dead"])
        for data in (b"second", b"never", b"first"):
            await service.publish("in", data, headers={"Call-ID": "7"})
        await self.until(lambda: letters and service.ledger().consumers[0].in_progress == 0)
        self.assertEqual(attempts, [(b"second", 1), (b"second", 2), (b"never", 1), (b"never", 2), (b"first", 1)])
        [letter] = letters
        self.assertEqual((letter.data, letter.headers["Call-ID"]), (b"never", "7"))
        self.assertEqual(
            [letter.headers[f"Natsroute-{name}"] for name in ("Route", "Subject", "Attempts")], ["nats:in", "in", "2"]
        )
        self.assertIn(RouteTimeoutError.__name__, letter.headers["Natsroute-Error"])
        ledger = service.ledger()
        counters = next(counters for counters in ledger.routes if counters.route == "nats:in")
        self.assertEqual((counters.succeeded, counters.failed, counters.retried, counters.dead_lettered), (2, 1, 2, 1))
        self.assertEqual(ledger.differences(), [])

    async def test_resent_messages(self) -> None:
        """With publish_msg_id and deduplicate(), a message that comes twice after a crash is handled once."""
        event_route, handled = EventRoutes(middleware=[deduplicate()]), list[bytes]()
        event_route("nats:in")(lambda event: handled.append(event.data))
        service = await self.connect_service(
            event_route,
            subject_queue_group=["in"],
            publish_msg_id=True,
            num_publish_workers=1,
            publish_resend_window=300,
        )
        await gatherResults([service.publish("in", b"%d" % number) for number in range(100)])
        await self.until(lambda: len(handled) == 100)
        before = service.ledger().consumers[0].received
        protocol = service.connections[0]._sessions.protocol
        assert protocol is not None
        protocol.transport.abortConnection()
        await self.until(lambda: service.ledger().publisher.resent == 100)
        await self.until(lambda: service.ledger().consumers[0].received == before + 100)
        self.assertEqual(handled, [b"%d" % number for number in range(100)])


class OutagePolicyTests(OneServerTestCase):
    """What becomes of a message when there is no server."""

    async def test_policies(self) -> None:
        log = LogRecorder(self)
        quick: dict[str, Any] = {"num_publish_workers": 1, "reconnect_wait": 0.05, "reconnect_max_wait": 0.05}
        service = await self.connect_service(publish_max_messages=10, **quick)
        expiring = await self.connect_service(publish_max_age=0.2, **quick)
        self.server.kill()
        await self.until(lambda: not service.connected and not expiring.connected)
        await self.assertFailure(service.publish("a", b"", policy="fail"), ConnectionLostError)
        kept = [service.publish("a", b"", policy="drop") for _ in range(6)]
        await self.assertFailure(kept.pop(), PublishDroppedError)
        kept.append(service.publish("a", b""))
        await self.assertFailure(expiring.publish("a", b""), PublishExpiredError)
        await self.server.restart()
        await gatherResults(kept)
        self.assertEqual(
            service.ledger().publisher,
            PublisherAccount(published=8, confirmed=6, failed=1, dropped=1, resent=0, in_progress=0),
        )
        self.assertEqual(len(log.matching("Not confirmed: 1 message(s) to a")), 1)
