"""The end: what was received is handled, what was published is confirmed, and nobody waits for ever."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.wire.frames import Address
from tests.support.cases import LogRecorder, RealServerTestCase


class ShutdownTests(RealServerTestCase):
    """stopService()"""

    async def feed(self, feeder: Any, seconds: float, rate: int) -> None:
        """So many messages a second, until they are confirmed."""
        start, sent, last = self.reactor.seconds(), 0, []
        while (now := self.reactor.seconds()) < start + seconds:
            last = [feeder.publish("in", b"%d" % number) for number in range(sent, int((now - start) * rate))]
            sent += len(last)
            await deferLater(self.reactor, 0.005)
        await gatherResults(last)

    async def test_under_load_into_slow_routes(self) -> None:
        """20,000 messages a second into routes that take 50 ms, 100 at once: nothing received is left unhandled."""
        event_route, handled = EventRoutes(), []

        @event_route("nats:in", concurrency=100)
        async def slow(event: Event) -> None:
            await deferLater(self.reactor, 0.05)
            handled.append(int(event.data))
            event.publish("out", event.data)

        seen: list[int] = []
        watch = EventRoutes()
        watch("nats:out")(lambda event: seen.append(int(event.data)))
        observer = await self.start(watch, subject_queue_group=["out"])
        service = await self.start(
            event_route, subject_queue_group=["in"], pending_max_messages=5_000, drain_timeout=60.0
        )
        feeder = await self.start()
        feeding = Deferred.fromCoroutine(self.feed(feeder, 2.0, 20_000))
        await deferLater(self.reactor, 1.0)
        log = LogRecorder(self)
        await service.stopService()
        subscription = service.consumers[0].subscription
        self.assertGreater(subscription.received, 5_000)
        self.assertEqual(
            (len(handled), subscription.pending, len(service.in_flight.running)), (subscription.received, 0, 0)
        )
        self.assertEqual(log.matching("not fully handled"), [])
        self.assertEqual(sorted(handled), list(range(len(handled))))
        self.assertEqual((service.publisher.account().confirmed, service.publisher.account().failed), (len(handled), 0))
        await self.until(lambda: len(seen) == len(handled))
        await feeding
        await observer.stopService()

    async def test_in_order_of_a_key(self) -> None:
        """What waits behind its key is handled too."""
        event_route, handled = EventRoutes(), []

        @event_route("nats:in", key=lambda event: event.data[:1])
        async def slow(event: Event) -> None:
            await deferLater(self.reactor, 0.01)
            handled.append(event.data)

        service = await self.start(event_route, subject_queue_group=["in"], drain_timeout=30.0)
        sent = [b"%d.%03d" % (number % 2, number) for number in range(100)]
        await gatherResults([service.publish("in", data) for data in sent])
        await self.until(lambda: service.in_flight.waiting)
        await service.stopService()
        self.assertEqual(sorted(handled), sorted(sent))
        for key in (b"0", b"1"):
            self.assertEqual([data for data in handled if data[:1] == key], [data for data in sent if data[:1] == key])

    async def test_not_in_time(self) -> None:
        """What was not handled is counted, and named by subject."""
        event_route, running = EventRoutes(), []

        @event_route("nats:slow.>")
        def hang(event: Event) -> Deferred[None]:
            running.append(event)
            return Deferred()

        service = await self.start(event_route, subject_queue_group=["slow.>"], drain_timeout=0.2)
        await gatherResults([service.publish(f"slow.{number}", b"") for number in range(3)])
        await self.until(lambda: running and service.consumers[0].subscription.pending == 2)
        log = LogRecorder(self)
        await service.stopService()
        self.assertEqual(
            log.matching("not fully handled"),
            ["Messages received but not fully handled: 3; subjects: slow.0, slow.1, slow.2"],
        )

    async def test_nothing_new_is_taken(self) -> None:
        """While the last message is being handled the subscription has ended already."""
        event_route, running, go_on = EventRoutes(), [], Deferred()

        @event_route("nats:in", concurrency=10)
        def wait(event: Event) -> Deferred[None]:
            running.append(event.data)
            return go_on

        service = await self.start(event_route, subject_queue_group=["in"], drain_timeout=30.0)
        other = await self.start()
        await other.publish("in", b"before")
        await self.until(lambda: running)
        stopping = service.stopService()
        await service.consumers[0].connection.drain()
        await other.publish("in", b"after")
        go_on.callback(None)
        await stopping
        self.assertEqual(running, [b"before"])

    def assert_exact(self, service: NatsrouteService, succeeded: int, failed: int, running: int, waiting: int) -> None:
        """The ledger adds up, to these."""
        ledger = service.ledger()
        [consumer] = ledger.consumers
        self.assertEqual(ledger.differences(), [])
        self.assertEqual(
            (consumer.succeeded, consumer.failed, consumer.in_progress, consumer.waiting),
            (succeeded, failed, running, waiting),
        )

    async def test_cancelled(self) -> None:
        """What is not done in time is cancelled, retries too; nothing that waits begins, here or in a lane."""
        event_route, begun = EventRoutes(), []

        @event_route("nats:in.*", retries=1000, key=lambda event: event.subject, concurrency=2, dead_letter="dead")
        async def failing(event: Event) -> None:
            begun.append(event.data)
            raise ValueError("again")

        service = await self.start(event_route, subject_queue_group=["in.*"], drain_timeout=0.2)
        for number in range(3):
            await gatherResults([service.publish(f"in.{key}", b"%d" % number) for key in "ab"])
        await self.until(lambda: len(begun) > 2)
        log = LogRecorder(self)
        await service.stopService()
        calls = len(begun)
        self.assertEqual(
            log.matching("not fully handled"), ["Messages received but not fully handled: 6; subjects: in.a, in.b"]
        )
        self.assertEqual((log.lines("critical"), set(begun)), ([], {b"0"}))
        self.assert_exact(service, 0, 2, 0, 4)
        self.assertEqual(service.publisher.account().published, 6)
        await deferLater(self.reactor, 0.5)  # the next attempts would be due
        self.assertEqual(len(begun), calls)

    async def test_a_new_beginning(self) -> None:
        """What waited when the service was stopped is handled when it is started again."""
        event_route, begun, answers = EventRoutes(), [], [Deferred()]

        @event_route("nats:in")
        def once_stuck(event: Event) -> object:
            begun.append(event.data)
            return answers.pop() if answers else None

        service = await self.start(event_route, subject_queue_group=["in"], drain_timeout=0.0)
        await gatherResults([service.publish("in", b"%d" % number) for number in range(3)])
        await self.until(lambda: service.consumers[0].subscription.pending == 2)
        await service.stopService()
        self.assertEqual(begun, [b"0"])
        self.assert_exact(service, 0, 1, 0, 2)
        service.startService()
        await self.until(lambda: service.connected)
        await service.publish("in", b"3")
        await self.until(lambda: len(begun) == 4)
        self.assertEqual(begun, [b"0", b"1", b"2", b"3"])
        self.assert_exact(service, 3, 1, 0, 0)

    async def test_a_route_that_goes_on(self) -> None:
        """It holds up nothing, and stays in progress; beside it nothing more begins."""
        event_route, go_on, asked = EventRoutes(), Deferred(), []

        @event_route("nats:in", concurrency=10)
        async def stubborn(event: Event) -> None:
            try:
                await Deferred()
            except CancelledError:
                asked.append(event.data)
                await go_on

        service = await self.start(event_route, subject_queue_group=["in"], drain_timeout=0.0)
        await service.publish("in", b"1")
        await self.until(lambda: service.in_flight.running)
        await service.stopService()
        service.consumers[0].subscription.deliver(Event(Address("in", 1), b"2"))  # it came too late
        self.assertEqual(asked, [b"1"])
        self.assert_exact(service, 0, 0, 1, 1)
        go_on.callback(None)
        self.assert_exact(service, 1, 0, 0, 1)

    async def test_a_route_that_stops_the_service(self) -> None:
        """It waits for its own end: when its time is over it is cancelled, and not the stopping."""
        event_route, ended = EventRoutes(), []

        @event_route("nats:in")
        async def stop(event: Event) -> None:
            await deferLater(self.reactor, 0)
            try:
                await service.stopService()
            finally:
                ended.append(event.data)

        service = await self.start(event_route, subject_queue_group=["in"], drain_timeout=0.0)
        log = LogRecorder(self)
        await service.publish("in", b"1")
        await self.until(lambda: log.matching("Publisher: "))
        self.assertEqual((ended, log.lines("critical")), ([b"1"], []))
        self.assert_exact(service, 0, 1, 0, 0)
