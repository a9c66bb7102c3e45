"""Streams, consumers and their messages with nats-py: what one of us creates, the other one sees as it is."""

from __future__ import annotations

from typing import Any

from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig

from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.ephemeral_consumers import Start
from natsroute.jetstream.consuming.ordered_consumer import OrderedConsumer
from natsroute.jetstream.management.consumers import consumer_info, consumer_names
from natsroute.jetstream.management.stored_messages import get_last_message, get_last_message_direct, get_message
from natsroute.jetstream.management.streams import stream_info, stream_names
from natsroute.message import Message
from tests.support.nats_py import run_client
from tests.support.server_case import OneServerTestCase


class StreamTests(OneServerTestCase):
    """A server with JetStream."""

    config = "jetstream: {}"

    async def connect_api(self, **settings: Any) -> JetStreamApi:
        """The API of a service that is connected and ready."""
        self.service = await self.connect_service(**settings)
        await self.until(lambda: not self.service.overview().reasons)
        return self.service._sending.jetstream_api

    async def test_ours(self) -> None:
        """nats-py sees what the settings say, and consumes from it."""
        await self.connect_api(
            jetstream_create=True,
            jetstream_stream=(
                "calls=>subjects=calls.> cdr.*;storage=memory;retention=interest;discard=new;max_age=1h;max_msgs=1000;"
                "max_bytes=1MiB;max_msg_size=4096;duplicate_window=90s;allow_direct=1"
            ),
            jetstream_consumer=(
                "calls:billing=>filter_subjects=calls.* cdr.end;backoff=1 5;max_deliver=7;max_ack_pending=50;"
                "deliver_policy=new"
            ),
        )

        async def look(client: Client) -> Any:
            jetstream = client.jetstream(timeout=120)
            stream = await jetstream.stream_info("calls")
            return stream.config, (await jetstream.consumer_info("calls", "billing")).config

        stream, consumer = await run_client(self.url, look)
        self.assertEqual((stream.name, stream.subjects), ("calls", ["calls.>", "cdr.*"]))
        self.assertEqual((stream.storage, stream.retention), (StorageType.MEMORY, RetentionPolicy.INTEREST))
        self.assertEqual((stream.max_age, stream.duplicate_window), (3600.0, 90.0))
        self.assertEqual((stream.max_msgs, stream.max_bytes, stream.max_msg_size), (1000, 1 << 20, 4096))
        self.assertEqual((stream.discard, stream.allow_direct, stream.num_replicas), ("new", True, 1))
        self.assertEqual((consumer.durable_name, consumer.ack_policy), ("billing", AckPolicy.EXPLICIT))
        self.assertEqual(consumer.filter_subjects, ["calls.*", "cdr.end"])
        self.assertEqual((consumer.backoff, consumer.max_deliver, consumer.max_ack_pending), ([1.0, 5.0], 7, 50))
        self.assertEqual(consumer.deliver_policy, DeliverPolicy.NEW)

    async def test_theirs(self) -> None:
        """We see what nats-py has created; it does not differ from settings that say the same."""

        async def create(client: Client) -> None:
            jetstream = client.jetstream(timeout=120)
            await jetstream.add_stream(
                StreamConfig(name="calls", subjects=["calls.>"], max_age=60.0, storage=StorageType.FILE, max_bytes=4096)
            )
            await jetstream.add_consumer(
                "calls",
                ConsumerConfig(
                    durable_name="billing",
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=12.5,
                    max_deliver=3,
                    filter_subject="calls.end",
                ),
            )

        await run_client(self.url, create)
        api = await self.connect_api(
            jetstream_stream="calls=>subjects=calls.>;max_age=1m;storage=file;max_bytes=4KiB",
            jetstream_consumer="calls:billing=>ack_wait=12500ms;max_deliver=3;filter_subjects=calls.end",
        )
        self.assertEqual((await stream_names(api), await consumer_names(api, "calls")), (["calls"], ["billing"]))
        self.assertEqual((await stream_info(api, "calls")).config.max_age, 60.0)
        info = await consumer_info(api, "calls", "billing")
        self.assertEqual((info.config.ack_wait, info.config.filter_subjects), (12.5, ("calls.end",)))

    async def test_messages(self) -> None:
        """What nats-py stores we read with an ordered consumer and one by one, and what we store nats-py reads."""
        api = await self.connect_api(
            jetstream_create=True, jetstream_stream="calls=>subjects=calls.>;allow_direct=1", num_publish_workers=1
        )

        async def publish(client: Client) -> None:
            jetstream = client.jetstream(timeout=120)
            for number in range(3):
                await jetstream.publish(f"calls.{number}", b"\0%d" % number, headers={"A": str(number)})

        await run_client(self.url, publish)
        for number in range(3, 6):
            await self.service.publish(f"calls.{number}", b"\0%d" % number, headers={"A": str(number)})

        async def read(client: Client) -> Any:
            subscription = await client.jetstream(timeout=120).subscribe("calls.>", ordered_consumer=True)
            received = [await subscription.next_msg(timeout=120) for _ in range(6)]
            return [
                (msg.subject, msg.data, dict(msg.headers or {})["A"], msg.metadata.sequence.stream) for msg in received
            ]

        expected = [(f"calls.{number}", b"\0%d" % number, str(number), number + 1) for number in range(6)]
        self.assertEqual(await run_client(self.url, read), expected)
        received: list[Message] = []
        consumer = OrderedConsumer(
            self.service._sending.requesting.connection,
            api,
            "calls",
            clock=self.reactor,
            on_msg=received.append,
            start=Start("last_per_subject"),
        )
        consumer.start()
        self.addCleanup(consumer.stop)
        await self.until(lambda: consumer.caught_up)
        self.assertEqual([(msg.subject, msg.data, msg.headers["A"]) for msg in received], [one[:3] for one in expected])
        for stored in (
            await get_message(api, "calls", 2),
            await get_last_message(api, "calls", "calls.1"),
            await get_last_message_direct(api, "calls", "calls.1"),
        ):
            found = (stored.subject, stored.data, stored.headers["A"], stored.sequence)
            self.assertEqual(found, expected[1])

        async def look(client: Client) -> Any:
            stored = await client.jetstream(timeout=120).get_last_msg("calls", "calls.4")
            return stored.subject, stored.data, (stored.headers or {})["A"], stored.seq

        self.assertEqual(await run_client(self.url, look), expected[4])
