"""``jetstream_replay`` with a real server: the event routes run for what a stream has, at each start"""

from __future__ import annotations

from typing import Any

from natsroute import EventRoutes, NatsrouteService
from natsroute.jetstream.management.configs import StreamConfig
from natsroute.jetstream.management.consumers import consumer_names
from natsroute.jetstream.management.streams import create_stream, delete_stream, stream_info
from natsroute.routes.event import Event
from tests.support.server_case import OneServerTestCase


class ReplayTests(OneServerTestCase):
    """A stream with numbered messages, and routes for them."""

    config = "jetstream: {}"

    async def make_stream(self, messages: int = 10) -> None:
        """Create the stream, and publish numbers to three subjects."""
        self.feeder = await self.connect_service(num_publish_workers=1, publish_msg_id=True)
        self.api = self.feeder._sending.jetstream_api
        await create_stream(self.api, StreamConfig(name="calls", subjects=("calls.>",)))
        self.published = 0
        await self.publish(messages)

    async def publish(self, messages: int) -> None:
        """Publish the next numbers, and wait until they are in the stream."""
        before = (await stream_info(self.api, "calls")).last_sequence
        for _ in range(messages):
            self.feeder.publish(f"calls.{self.published % 3}", str(self.published))
            self.published += 1
        await self.feeder.flush()
        while (await stream_info(self.api, "calls")).last_sequence < before + messages:
            pass

    async def replay(self, replay: str = "calls", **options: Any) -> NatsrouteService:
        """Start a service that replays the stream."""
        self.numbers: list[int] = []
        event_route = EventRoutes()

        @event_route("nats:calls.*", **options)
        async def calls(event: Event) -> None:
            self.assertEqual((event.stream, event.sequence), ("calls", int(event.text()) + 1))
            self.numbers.append(int(event.text()))

        return await self.connect_service(event_route, jetstream_replay=replay, drain_timeout=60.0)

    async def test_everything(self) -> None:
        """What is there, and what comes, once each; nothing stays at the server."""
        await self.make_stream()
        service = await self.replay()
        await self.until(lambda: len(self.numbers) == 10)
        await self.publish(5)
        await self.until(lambda: len(self.numbers) == 15)
        self.assertEqual(self.numbers, [*range(15)])
        (account,) = service.ledger().consumers
        self.assertEqual((account.name, account.received, account.lag), ("replay:calls", 15, 0))
        self.assertEqual(service.overview().reasons, ())
        self.assertEqual((await stream_info(self.api, "calls")).messages, 15)
        await service.stopService()
        self.assertEqual(self.numbers, [*range(15)])
        self.service = await self.replay()
        await self.until(lambda: len(self.numbers) == 15)
        await self.service.stopService()

    async def test_from(self) -> None:
        """A sequence, the last of each subject, and some subjects only."""
        await self.make_stream()
        for replay, expected in (
            ("calls=>from=8", [7, 8, 9]),
            ("calls=>from=1970-01-01T00:00:00Z;filter_subjects=calls.2", [2, 5, 8]),
            ("calls=>from=last_per_subject", [7, 8, 9]),
            ("calls=>from=last", [9]),
        ):
            service = await self.replay(replay)
            await self.until(lambda wanted=len(expected): len(self.numbers) == wanted)
            self.assertEqual(self.numbers, expected)
            await service.stopService()

    async def test_server_restarts(self) -> None:
        """The routes have each message once, in order."""
        await self.make_stream(300)
        service = await self.replay()
        await self.until(lambda: self.numbers)
        await self.server.restart()
        await self.until(lambda: len(self.numbers) >= 300)
        self.assertEqual(self.numbers, [*range(300)])
        await self.until(lambda: service.connected and not service.overview().reasons)

    async def test_no_stream(self) -> None:
        """That is a reason not to be ready, until there is one."""
        await self.make_stream(0)
        await delete_stream(self.api, "calls")
        service = await self.replay()
        await self.until(lambda: any("stream not found" in one.text for one in service.overview().reasons))
        self.assertEqual([one.code for one in service.overview().reasons], ["not_consuming"])
        await create_stream(self.api, StreamConfig(name="calls", subjects=("calls.>",)))
        await self.publish(1)
        await self.until(lambda: self.numbers)
        await self.until(lambda: not service.overview().reasons)

    async def test_stop(self) -> None:
        """What was received is handled before the end, and the consumer is deleted."""
        await self.make_stream(50)
        service = await self.replay(concurrency=5)
        await self.until(lambda: self.numbers)
        await service.stopService()
        (account,) = service.ledger().consumers
        self.assertEqual((account.received, account.pending), (len(self.numbers), 0))
        while await consumer_names(self.api, "calls"):
            pass
