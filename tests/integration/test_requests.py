"""Requests of a service to a real server"""

from __future__ import annotations

from natsroute import EventRoutes, NatsrouteService
from natsroute.errors import NoRespondersError, PayloadError, RequestTimeoutError
from natsroute.jetstream.errors import JetStreamUnavailableError, StreamNotFoundError
from natsroute.routes.event import Event
from tests.support.server_case import OneServerTestCase


class RequestTests(OneServerTestCase):
    """A route that answers, and a program that asks."""

    async def responding(self) -> NatsrouteService:
        """A service with a route that answers."""
        event_route = EventRoutes()
        event_route("nats:double")(lambda event: event.respond(int(event.text()) * 2))
        event_route("nats:silent")(lambda event: None)

        @event_route("nats:quadruple")
        async def quadruple(event: Event) -> None:
            answer = await event.request("double", event.data)
            await event.respond(int(answer.text()) * 2)

        return await self.connect_service(event_route, subject_queue_group=["double:q", "silent:q", "quadruple:q"])

    async def test_answer(self) -> None:
        service = await self.responding()
        answer = await service.request("double", "21")
        self.assertEqual((answer.json(), answer.text(), answer.data), (42, "42", b"42"))

    async def test_a_route_that_asks(self) -> None:
        service = await self.responding()
        self.assertEqual((await service.request("quadruple", "10")).json(), 40)

    async def test_nobody(self) -> None:
        """Without a subscriber, the request fails at once; with one that does not answer, after its timeout."""
        service = await self.responding()
        with self.assertRaises(NoRespondersError):
            await service.request("nobody", timeout=60)
        with self.assertRaises(RequestTimeoutError):
            await service.request("silent", timeout=0.1)

    async def test_a_payload_that_cannot_be_encoded(self) -> None:
        service = await self.responding()
        with self.assertRaises(PayloadError):
            await service.request("double", {1: object()})

    async def test_before_the_start_and_after_a_stop(self) -> None:
        """A request that is made before the start waits for it; after a stop, for the next start."""
        service = await self.responding()
        await service.stopService()
        asked = service.request("double", "4")
        service.startService()
        self.assertEqual((await asked).json(), 8)


class WithoutJetStreamTests(OneServerTestCase):
    """A server without JetStream."""

    async def test_api(self) -> None:
        service = await self.connect_service()
        await service.ready()
        api = service._sending.jetstream_api
        with self.assertRaisesRegex(JetStreamUnavailableError, "-js"):
            await api.call("INFO")


class WithJetStreamTests(OneServerTestCase):
    """A server with JetStream."""

    config = "jetstream: {}"

    async def test_api(self) -> None:
        service = await self.connect_service()
        api = service._sending.jetstream_api
        self.assertEqual((await api.call("INFO"))["streams"], 0)
        with self.assertRaises(StreamNotFoundError):
            await api.call("STREAM.INFO.calls")
