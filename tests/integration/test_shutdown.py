"""Stopping the service: what was received is handled, what was published is confirmed, within a limited time"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.daemon import shutdown
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase
from tests.support.waiting import TIMEOUT


class ShutdownTests(OneServerTestCase):
    """stopService()"""

    async def feed(self, feeder: Any, rate: int, until: Deferred[None]) -> None:
        """Publish at that rate, in messages a second, until the Deferred has fired. Wait for the confirmations."""
        start, sent, last = self.reactor.seconds(), 0, []
        while not until.called:
            due = min(int((self.reactor.seconds() - start) * rate), sent + rate // 20)
            last = [feeder.publish("in", b"%d" % number) for number in range(sent, due)] or last
            sent = max(sent, due)
            await deferLater(self.reactor, 0.005)
        await gatherResults(last)

    async def test_under_load_into_slow_routes(self) -> None:
        """20,000 messages a second to a route that takes 50 ms, 100 at once. Each received message is handled."""
        event_route, handled = EventRoutes(), []

        @event_route("nats:in", concurrency=100)
        async def slow(event: Event) -> None:
            await deferLater(self.reactor, 0.05)
            handled.append(int(event.data))
            event.publish("out", event.data)

        seen: list[int] = []
        watch = EventRoutes()
        watch("nats:out")(lambda event: seen.append(int(event.data)))
        observer = await self.connect_service(watch, subject_queue_group=["out"])
        service = await self.connect_service(
            event_route, subject_queue_group=["in"], pending_max_messages=5_000, drain_timeout=TIMEOUT
        )
        feeder = await self.connect_service()
        enough: Deferred[None] = Deferred()
        feeding = Deferred.fromCoroutine(self.feed(feeder, 20_000, enough))
        subscription = service.consumers[0].source
        await self.until(lambda: subscription.received > 5_000)
        log = LogRecorder(self)
        stopping = service.stopService()
        self.reactor.callLater(1.0, enough.callback, None)
        await stopping
        self.assertEqual(
            (len(handled), subscription.pending, len(service.in_flight.running)), (subscription.received, 0, 0)
        )
        self.assertEqual(log.matching("not fully handled"), [])
        self.assertEqual(sorted(handled), list(range(len(handled))))
        self.assertEqual((service.publisher.account().confirmed, service.publisher.account().failed), (len(handled), 0))
        await self.until(lambda: len(seen) == len(handled))
        await feeding
        await observer.stopService()

    async def test_waiting_for_a_key(self) -> None:
        """Messages that wait for another one with the same key are handled too."""
        event_route, handled, release = EventRoutes(), [], Deferred()

        @event_route("nats:in", key=lambda event: event.data[:1])
        async def slow(event: Event) -> None:
            await release
            await deferLater(self.reactor, 0.01)
            handled.append(event.data)

        service = await self.connect_service(event_route, subject_queue_group=["in"], drain_timeout=TIMEOUT)
        sent = [b"%d.%03d" % (number % 2, number) for number in range(100)]
        await gatherResults([service.publish("in", data) for data in sent])
        await self.until(lambda: service.in_flight.waiting)
        stopping = service.stopService()
        release.callback(None)
        await stopping
        self.assertEqual(sorted(handled), sorted(sent))
        for key in (b"0", b"1"):
            self.assertEqual([data for data in handled if data[:1] == key], [data for data in sent if data[:1] == key])

    async def test_not_in_time(self) -> None:
        """The log has the number of messages that were not handled, and their subjects."""
        event_route, running = EventRoutes(), []

        @event_route("nats:slow.>")
        def hang(event: Event) -> Deferred[None]:
            running.append(event)
            return Deferred()

        service = await self.connect_service(event_route, subject_queue_group=["slow.>"], drain_timeout=0.2)
        await gatherResults([service.publish(f"slow.{number}", b"") for number in range(3)])
        await self.until(lambda: running and service.consumers[0].source.pending == 2)
        log = LogRecorder(self)
        await service.stopService()
        self.assertEqual(
            log.matching("not fully handled"),
            ["Messages received but not fully handled: 3; subjects: slow.0, slow.1, slow.2"],
        )

    async def test_nothing_new_is_taken(self) -> None:
        """The subscription ends before the last message is handled."""
        event_route, running, release = EventRoutes(), [], Deferred()

        @event_route("nats:in", concurrency=10)
        def wait(event: Event) -> Deferred[None]:
            running.append(event.data)
            return release

        service = await self.connect_service(event_route, subject_queue_group=["in"], drain_timeout=30.0)
        other = await self.connect_service()
        await other.publish("in", b"before")
        await self.until(lambda: running)
        stopping = service.stopService()
        await service.consumers[0].connection.drain()
        await other.publish("in", b"after")
        release.callback(None)
        await stopping
        self.assertEqual(running, [b"before"])

    def assert_exact(self, service: NatsrouteService, succeeded: int, failed: int, running: int, waiting: int) -> None:
        """The ledger adds up, and has these figures."""
        ledger = service.ledger()
        [consumer] = ledger.consumers
        self.assertEqual(ledger.differences(), [])
        self.assertEqual(
            (consumer.succeeded, consumer.failed, consumer.in_progress, consumer.waiting),
            (succeeded, failed, running, waiting),
        )

    async def test_cancelled(self) -> None:
        """Calls that take too long are cancelled, and so are their retries. No waiting message begins."""
        event_route, begun = EventRoutes(), []

        @event_route("nats:in.*", retries=1000, key=lambda event: event.subject, concurrency=2, dead_letter="dead")
        async def failing(event: Event) -> None:
            begun.append(event.data)
            raise ValueError("again")

        service = await self.connect_service(event_route, subject_queue_group=["in.*"], drain_timeout=0.2)
        for number in range(3):
            await gatherResults([service.publish(f"in.{key}", b"%d" % number) for key in "ab"])
        await self.until(lambda: len(begun) > 2 and service.consumers[0].source.received == 6)
        log = LogRecorder(self)
        await service.stopService()
        calls = len(begun)
        self.assertEqual(
            log.matching("not fully handled"), ["Messages received but not fully handled: 6; subjects: in.a, in.b"]
        )
        self.assertEqual((log.lines("critical"), set(begun)), ([], {b"0"}))
        self.assert_exact(service, 0, 2, 0, 4)
        self.assertEqual(service.publisher.account().published, 6)
        await deferLater(self.reactor, 0.5)  # the time at which the next attempts would be due
        self.assertEqual(len(begun), calls)

    async def test_started_again(self) -> None:
        """Messages that waited when the service was stopped are handled when it is started again."""
        event_route, begun, answers = EventRoutes(), [], [Deferred()]

        @event_route("nats:in")
        def hang_once(event: Event) -> object:
            begun.append(event.data)
            return answers.pop() if answers else None

        service = await self.connect_service(event_route, subject_queue_group=["in"], drain_timeout=0.0)
        await gatherResults([service.publish("in", b"%d" % number) for number in range(3)])
        await self.until(lambda: service.consumers[0].source.pending == 2)
        await service.stopService()
        self.assertEqual(begun, [b"0"])
        self.assert_exact(service, 0, 1, 0, 2)
        service.startService()
        await self.until(lambda: service.connected)
        await service.publish("in", b"3")
        await self.until(lambda: len(begun) == 4)
        self.assertEqual(begun, [b"0", b"1", b"2", b"3"])
        self.assert_exact(service, 3, 1, 0, 0)

    async def test_a_call_that_ignores_its_cancellation(self) -> None:
        """It does not delay the stop, and stays in progress. No other message begins."""
        event_route, release, cancelled = EventRoutes(), Deferred(), []

        @event_route("nats:in", concurrency=10)
        async def stubborn(event: Event) -> None:
            try:
                await Deferred()
            except CancelledError:
                cancelled.append(event.data)
                await release

        service = await self.connect_service(event_route, subject_queue_group=["in"], drain_timeout=0.0)
        await service.publish("in", b"1")
        await self.until(lambda: service.in_flight.running)
        await service.stopService()
        service.consumers[0].source.deliver(Event(Address("in", 1), b"2"))  # too late
        self.assertEqual(cancelled, [b"1"])
        self.assert_exact(service, 0, 0, 1, 1)
        release.callback(None)
        self.assert_exact(service, 1, 0, 0, 1)

    async def test_a_route_that_stops_the_service(self) -> None:
        """The call waits for the stop, and the stop for the call. After drain_timeout the call is cancelled."""
        event_route, ended = EventRoutes(), []

        @event_route("nats:in")
        async def stop(event: Event) -> None:
            await deferLater(self.reactor, 0)
            try:
                await service.stopService()
            finally:
                ended.append(event.data)

        service = await self.connect_service(event_route, subject_queue_group=["in"], drain_timeout=0.0)
        log = LogRecorder(self)
        await service.publish("in", b"1")
        await self.until(lambda: log.matching("Publisher: "))
        self.assertEqual((ended, log.lines("critical")), ([b"1"], []))
        self.assert_exact(service, 0, 1, 0, 0)

    async def test_skip_drain(self) -> None:
        """It ends the wait for routes, and not the wait for confirmations."""
        event_route, hanging = EventRoutes(), []

        @event_route("nats:in")
        async def hang(event: Event) -> None:
            hanging.append(event)
            await Deferred()

        self.patch(shutdown, "FLUSH_TIMEOUT", TIMEOUT)  # the test may take longer than 5 s to let the server go on
        # Without the skip, the drain takes longer than the test may.
        service = await self.connect_service(event_route, subject_queue_group=["in"], drain_timeout=600.0)
        await service.publish("in", b"1")
        await self.until(lambda: hanging)
        log = LogRecorder(self)
        stopping = service.stopService()
        await service.consumers[0].connection.drain()
        self.server.pause()
        published = [service.publish("out", b"%d" % number) for number in range(100)]
        self.assertFalse(service.consumers.is_cut_off)
        service.skip_drain()
        await self.until(lambda: service.consumers.is_cut_off and not service.consumers[0].connection.running)
        await deferLater(self.reactor, 0.1)
        self.assertEqual((stopping.called, service.publisher.account().confirmed), (False, 1))
        self.server.resume()
        await stopping
        await gatherResults(published)
        self.assertEqual(service.publisher.account().confirmed, 101)
        self.assertEqual(len(log.matching("not fully handled: 1; subjects: in")), 1)
