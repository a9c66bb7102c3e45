"""The end: what was received is handled, what was published is confirmed, and nobody waits for ever."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes
from tests.support import LogRecorder, RealServerTestCase


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
            (len(handled), subscription.pending, len(service.progress.running)), (subscription.received, 0, 0)
        )
        self.assertEqual(log.matching("not handled"), [])
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
        await self.until(lambda: service.progress.waiting)
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
            log.matching("not handled"),
            ["3 messages were received and not handled to the end, to slow.0, slow.1, slow.2"],
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
