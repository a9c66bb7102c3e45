"""Test cases with a stream on a real nats-server, and services that consume from it."""

from __future__ import annotations

from typing import Any

from natsroute import EventRoutes, NatsrouteService
from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig
from natsroute.jetstream.management.consumers import consumer_info, create_consumer
from natsroute.jetstream.management.streams import create_stream, stream_info
from tests.support.server_case import OneServerTestCase


class JetStreamTestCase(OneServerTestCase):
    """
    A test with a stream ``CALLS`` that keeps ``calls.>``, and a consumer ``billing``.

    :ivar program: a service that publishes and asks; it consumes nothing.
    :ivar newest: the sequence of the message that :meth:`publish` has published last.
    """

    config = "jetstream: {}"
    stream = "CALLS"
    newest = 0

    async def create(self, **config: Any) -> None:
        """Create the stream, and its consumer with this configuration."""
        self.program = await self.connect_service(num_publish_workers=1)
        self.api = self.program._sending.jetstream_api
        await create_stream(self.api, StreamConfig(name=self.stream, subjects=("calls.>", "dead.>")))
        await self.create_consumer(**config)

    async def create_consumer(self, durable: str = "billing", **config: Any) -> None:
        """Create a consumer of the stream."""
        options = {"ack_policy": "explicit", "ack_wait": 30.0, "filter_subjects": ("calls.>",), **config}
        await create_consumer(self.api, self.stream, ConsumerConfig(durable_name=durable, **options))

    async def consume(self, routes: EventRoutes | None, **settings: Any) -> NatsrouteService:
        """A service that consumes from the stream, once it is connected."""
        settings = {"jetstream_consumer": [f"{self.stream}:billing"], **settings}
        return await self.connect_service(routes, **settings)

    async def publish(self, *payloads: object, subject: str = "calls.a") -> None:
        """Publish to the stream. Returns when it has stored all."""
        for payload in payloads:
            stored = await self.program.request(subject, payload)
            self.newest = stored.json()["seq"]

    async def state(self, durable: str = "billing") -> tuple[int, int, int]:
        """Of a consumer: messages that are still to be delivered, not acknowledged, and delivered again."""
        info = await consumer_info(self.api, self.stream, durable)
        return info.num_pending, info.num_ack_pending, info.num_redelivered

    async def until_stored(self, messages: int) -> None:
        """Wait until the stream has that many messages. The server stores what it has confirmed a moment later."""
        while (await stream_info(self.api, self.stream)).messages != messages:
            pass

    async def until_state(self, *state: int, durable: str = "billing") -> None:
        """Wait until everything published has been delivered, and :meth:`state` is this."""
        now: tuple[int, ...] = ()
        delivered = 0
        while now != state or delivered < self.newest:
            info = await consumer_info(self.api, self.stream, durable)
            now, delivered = (info.num_pending, info.num_ack_pending, info.num_redelivered), info.delivered_sequence
