"""What natsroute publishes to streams, as nats-py reads it; and ids that both know."""

from __future__ import annotations

from typing import Any

from nats.aio.client import Client
from nats.js.api import StreamConfig
from twisted.internet.defer import gatherResults

from natsroute.jetstream.publishing.pub_ack import PubAck
from tests.support.nats_py import run_client
from tests.support.server_case import OneServerTestCase


class NatsPyTests(OneServerTestCase):
    """A stream that both know."""

    config = "jetstream: {}"

    async def create(self, **options: Any) -> None:
        """nats-py creates the stream."""

        async def main(client: Client) -> None:
            config = StreamConfig(name="CALLS", subjects=["calls.>"], **options)
            await client.jetstream(timeout=120).add_stream(config)

        await run_client(self.url, main)

    async def read(self, count: int) -> list[Any]:
        """nats-py reads all messages of the stream."""

        async def main(client: Client) -> list[Any]:
            consumer = await client.jetstream(timeout=120).pull_subscribe("calls.>", stream="CALLS")
            found: list[Any] = []
            while len(found) < count:
                found += await consumer.fetch(count - len(found), timeout=120)
            return found

        messages: list[Any] = await run_client(self.url, main)
        return messages

    async def test_read(self) -> None:
        """Subjects, payloads and headers are right, and each message has an id of its own."""
        await self.create()
        service = await self.connect_service()
        wait = [service.publish("calls.a", b"%d" % number, stream=True) for number in range(50)]
        wait.append(service.publish("calls.b", "grüße", headers={"A": "b"}, stream=True, msg_id="mine"))
        acks = await gatherResults(wait)
        messages = await self.read(51)
        self.assertEqual([message.metadata.sequence.stream for message in messages], [ack.sequence for ack in acks])
        self.assertEqual([message.data for message in messages[:50]], [b"%d" % number for number in range(50)])
        self.assertEqual({message.subject for message in messages[:50]}, {"calls.a"})
        self.assertEqual(len({message.headers["Nats-Msg-Id"] for message in messages}), 51)
        last = messages[-1]
        self.assertEqual((last.subject, last.data.decode()), ("calls.b", "grüße"))
        self.assertEqual(last.headers, {"A": "b", "Nats-Msg-Id": "mine"})

    async def test_ids(self) -> None:
        """A message that one of them has published is a duplicate for the other."""
        await self.create()
        service = await self.connect_service()
        await service.publish("calls.a", b"", stream=True, msg_id="ours")

        async def main(client: Client) -> list[Any]:
            stream = client.jetstream(timeout=120)
            return [
                await stream.publish("calls.a", b"", headers={"Nats-Msg-Id": "ours"}),
                await stream.publish("calls.a", b"", headers={"Nats-Msg-Id": "theirs"}),
            ]

        first, second = await run_client(self.url, main)
        self.assertEqual((first.stream, first.seq, bool(first.duplicate)), ("CALLS", 1, True))
        self.assertEqual((second.seq, bool(second.duplicate)), (2, False))
        ack = await service.publish("calls.a", b"", stream=True, msg_id="theirs")
        self.assertEqual(ack, PubAck("CALLS", 2, duplicate=True))

    async def test_batch(self) -> None:
        """An atomic batch, which nats-py sees as single messages."""
        service = await self.connect_service()
        config = {"name": "CALLS", "subjects": ["calls.>"], "allow_atomic": True}
        await service.request("$JS.API.STREAM.CREATE.CALLS", config)
        ack = await service.publish_all([("calls.a", b"1"), ("calls.b", b"2", {"headers": {"A": "b"}})])
        messages = await self.read(2)
        self.assertEqual([(one.subject, one.data) for one in messages], [("calls.a", b"1"), ("calls.b", b"2")])
        self.assertEqual(messages[1].headers["A"], "b")
        self.assertEqual({one.headers["Nats-Batch-Id"] for one in messages}, {ack.batch})
