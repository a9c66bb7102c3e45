"""An ordered consumer of a real server: everything in order, whatever happens to the consumer at the server"""

from __future__ import annotations

from functools import partial
from typing import Any

from natsroute.jetstream.consuming.ephemeral_consumers import Start
from natsroute.jetstream.consuming.ordered_consumer import OrderedConsumer
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.errors import StreamNotFoundError
from natsroute.jetstream.management.configs import StreamConfig
from natsroute.jetstream.management.consumers import consumer_names, delete_consumer
from natsroute.jetstream.management.streams import create_stream, delete_stream, purge_stream, stream_info
from natsroute.message import Message
from tests.support.server_case import OneServerTestCase


class OrderedConsumerTests(OneServerTestCase):
    """A stream with numbered messages."""

    config = "jetstream: {}"

    async def make_stream(self, messages: int = 0, subjects: int = 1) -> None:
        """Create the stream, and publish numbers to it."""
        self.service = await self.connect_service(
            num_publish_workers=1, publish_msg_id=True, reconnect_wait=0.1, reconnect_max_wait=0.2
        )
        self.api = self.service._sending.jetstream_api
        self.subjects = subjects
        self.published = 0
        await create_stream(self.api, StreamConfig(name="calls", subjects=("calls.>",)))
        await self.publish(messages)

    async def publish(self, messages: int) -> None:
        """Publish the next numbers, in their order, and wait until they are in the stream."""
        before = (await stream_info(self.api, "calls")).last_sequence
        for _ in range(messages):
            number = self.published
            self.published += 1
            done = self.service.publish(f"calls.{number % self.subjects}", str(number))
        if messages:
            await done
        while (await stream_info(self.api, "calls")).last_sequence < before + messages:
            pass

    def consume(self, **options: Any) -> OrderedConsumer:
        """Start an ordered consumer."""
        self.numbers: list[int] = []
        self.caught_up: list[int] = []  # how many had been received then
        await_connection = self.service._sending.requesting.connection
        consumer = OrderedConsumer(
            await_connection,
            self.api,
            "calls",
            clock=self.reactor,
            on_msg=lambda msg: self.numbers.append(int(msg.text())),
            on_caught_up=lambda: self.caught_up.append(len(self.numbers)),
            **options,
        )
        consumer.start()
        self.addCleanup(consumer.stop)
        return consumer

    async def test_everything(self) -> None:
        """What is there, and what comes."""
        await self.make_stream(2000)
        consumer = self.consume(options=PullOptions(batch=100))
        await self.until(lambda: self.caught_up)
        self.assertEqual((self.numbers, self.caught_up), ([*range(2000)], [2000]))
        await self.publish(500)
        await self.until(lambda: len(self.numbers) == 2500)
        self.assertEqual((self.numbers, self.caught_up, consumer.created), ([*range(2500)], [2000], 1))
        self.assertEqual((consumer.last_sequence, consumer.num_pending, consumer.problem), (2500, 0, None))

    async def test_empty(self) -> None:
        await self.make_stream()
        self.consume()
        await self.until(lambda: self.caught_up)
        await self.publish(1)
        await self.until(lambda: self.numbers)
        self.assertEqual((self.numbers, self.caught_up), ([0], [0]))

    async def test_starts(self) -> None:
        """From a sequence, a time, the last of each subject, and only what is new; some subjects."""
        await self.make_stream(20, subjects=4)
        for options, expected in (
            ({"start": Start("by_start_sequence", 18)}, [17, 18, 19]),
            ({"start": Start("by_start_time", time=0)}, [*range(20)]),
            ({"start": Start("last_per_subject")}, [16, 17, 18, 19]),
            ({"start": Start("last")}, [19]),
            ({"start": Start("new")}, []),
            ({"filter_subjects": ["calls.1"]}, [1, 5, 9, 13, 17]),
            ({"filter_subjects": ["calls.1", "calls.2"], "start": Start("last_per_subject")}, [17, 18]),
            ({"filter_subjects": ["calls.none"]}, []),
        ):
            consumer = self.consume(**options)
            await self.until(lambda: self.caught_up)
            self.assertEqual((self.numbers, self.caught_up), (expected, [len(expected)]), options)
            consumer.stop()
        await self.until_no_consumers()

    async def until_no_consumers(self) -> None:
        """A consumer that is stopped is deleted."""
        while await consumer_names(self.api, "calls"):
            pass

    async def test_headers_only(self) -> None:
        await self.make_stream(1)
        received: list[Message] = []
        consumer = OrderedConsumer(
            self.service._sending.requesting.connection,
            self.api,
            "calls",
            clock=self.reactor,
            on_msg=received.append,
            headers_only=True,
        )
        consumer.start()
        self.addCleanup(consumer.stop)
        await self.until(lambda: received)
        self.assertEqual((received[0].data, received[0].headers["Nats-Msg-Size"]), (b"", "1"))

    async def test_consumer_deleted(self) -> None:
        """Another one goes on behind the last message."""
        await self.make_stream(100)
        consumer = self.consume(options=PullOptions(batch=10))
        for created in range(1, 6):
            await self.until(partial(lambda number: consumer.created >= number and consumer._consumers.name, created))
            await delete_consumer(self.api, "calls", consumer._consumers.name)
            await self.publish(20)
        await self.until(lambda: len(self.numbers) >= 200)
        self.assertEqual(self.numbers, [*range(200)])
        self.assertEqual(len(self.caught_up), 1)

    async def test_server_restarts(self) -> None:
        """The consumer was in its memory."""
        await self.make_stream(1000)
        consumer = self.consume(options=PullOptions(batch=10))
        for _ in range(3):
            await self.until(lambda: self.numbers)
            await self.server.kill()
            await self.server.start()
            await self.until(lambda: self.service.connected)
            await self.publish(100)
        await self.until(lambda: len(self.numbers) >= 1300)
        self.assertEqual((self.numbers, len(self.caught_up)), ([*range(1300)], 1))
        self.assertGreaterEqual(consumer.created, 2)

    async def test_stream_deleted(self) -> None:
        """That is a problem until it is there again; then it is read from its beginning."""
        await self.make_stream(3)
        consumer = self.consume()
        await self.until(lambda: self.caught_up)
        await delete_stream(self.api, "calls")
        await self.until(lambda: consumer.problem)
        self.assertIsInstance(consumer.problem, StreamNotFoundError)
        await create_stream(self.api, StreamConfig(name="calls", subjects=("calls.>",)))
        await self.publish(2)
        await self.until(lambda: len(self.numbers) == 5)
        self.assertEqual((self.numbers, consumer.problem), ([0, 1, 2, 3, 4], None))

    async def test_purged_while_it_catches_up(self) -> None:
        """It does not wait for messages that are gone."""
        await self.make_stream(10)
        consumer = self.consume(options=PullOptions(batch=2, expires=0.4))
        consumer.hold()
        await self.until(lambda: consumer.pending == 2)
        await purge_stream(self.api, "calls")
        consumer.release()
        await self.until(lambda: self.caught_up)
        self.assertEqual((self.numbers, self.caught_up), ([0, 1], [2]))

    async def test_slow_receiver(self) -> None:
        """No more is asked for than may wait, and nothing is lost."""
        await self.make_stream(50)
        consumer = self.consume(options=PullOptions(batch=10, expires=5.0))
        consumer.hold()
        await self.until(lambda: consumer.pending == 10)
        await self.publish(10)
        self.assertEqual((consumer.pending, self.numbers), (10, []))
        consumer.release()
        await self.until(lambda: len(self.numbers) == 60)
        self.assertEqual((self.numbers, consumer.created), ([*range(60)], 1))
