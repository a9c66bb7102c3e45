"""Requests with nats-py: it asks us, we ask it, and both learn that nobody answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError as NatsPyNoRespondersError
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from natsroute import Event, EventRoutes, NatsrouteService, Reject
from natsroute.errors import NoRespondersError
from natsroute.wire.headers import HeaderValues
from tests.support.server_case import OneServerTestCase

HEADERS: HeaderValues = {"Call-ID": "é 1"}


class NatsPyTests(OneServerTestCase):
    """A service, and a client of nats-py in a thread with a loop of its own."""

    async def run_client(self, main: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine function with a connected client of nats-py."""

        async def connected() -> Any:
            client = await nats.connect(self.url)
            try:
                return await main(client)
            finally:
                await client.close()

        return await deferToThread(lambda: asyncio.run(connected()))

    async def responding(self) -> NatsrouteService:
        """A service that answers in different ways."""
        event_route = EventRoutes()
        event_route("nats:double", responds=True)(lambda event: int(event.text()) * 2)

        @event_route("nats:nothing", responds=True)
        def nothing(event: Event) -> None:
            """An empty answer."""

        @event_route("nats:reject", responds=True)
        async def reject(event: Event) -> None:
            raise Reject("no such call\r\n")

        @event_route("nats:headers")
        def headers(event: Event) -> None:
            event.respond(event.headers["Call-ID"], {"Many": ["1", "2"], "Call-ID": event.headers["Call-ID"]})

        @event_route("nats:unconfirmed")
        def unconfirmed(event: Event) -> None:
            event.respond(event.data, {"A": "b"}, confirm=False)

        subjects = [f"{route.pattern}:q" for route in event_route]
        return await self.connect_service(event_route, subject_queue_group=subjects)

    async def test_it_asks_us(self) -> None:
        await self.responding()

        async def ask(client: Client) -> dict[str, Msg]:
            subjects = {"double": b"21", "nothing": b"", "reject": b"", "headers": b"", "unconfirmed": b"\0\xff"}
            headers = {"Call-ID": "é 1"}
            return {
                subject: await client.request(subject, payload, timeout=120, headers=headers)
                for subject, payload in subjects.items()
            }

        answers = await self.run_client(ask)
        self.assertEqual([answers[one].data for one in ("double", "nothing", "reject")], [b"42", b"", b""])
        self.assertEqual(answers["double"].headers, None)
        self.assertEqual(
            answers["reject"].headers, {"Nats-Service-Error": "no such call\\r\\n", "Nats-Service-Error-Code": "400"}
        )
        self.assertEqual((answers["headers"].data, answers["headers"].headers["Call-ID"]), ("é 1".encode(), "é 1"))
        self.assertEqual((answers["unconfirmed"].data, answers["unconfirmed"].headers), (b"\0\xff", {"A": "b"}))

    async def test_nobody_answers_it(self) -> None:
        """The answer of the server is the same for both."""

        async def ask(client: Client) -> str:
            try:
                await client.request("nobody", b"", timeout=120)
            except NatsPyNoRespondersError:
                return "no responders"
            return "an answer"

        self.assertEqual(await self.run_client(ask), "no responders")

    async def test_we_ask_it(self) -> None:
        """Its answers, several of them, and headers in both directions."""
        service = await self.connect_service()
        subscribed, asked = threading.Event(), threading.Event()

        async def answer(client: Client) -> None:
            async def echo(msg: Msg) -> None:
                await client.publish(msg.reply, msg.data, headers=msg.headers)

            async def several(msg: Msg) -> None:
                for number in range(3):
                    await msg.respond(b"%d" % number)
                await msg.respond(b"")

            subscription = await client.subscribe("echo", cb=echo)
            await client.subscribe("several", cb=several)
            await client.flush()
            subscribed.set()
            while not asked.is_set():
                await asyncio.sleep(0.01)
            # When a client closes its connection, a busy nats-server may still send it a request meanwhile.
            await subscription.unsubscribe()
            await client.flush()

        ended = Deferred.fromCoroutine(self.run_client(answer))
        try:
            await self.until(subscribed.is_set)
            msg = await service.request("echo", b"\0\xff", 30, HEADERS)
            self.assertEqual((msg.data, dict(msg.headers)), (b"\0\xff", dict(HEADERS)))
            answers = await service.request_many("several", timeout=120, sentinel=True)
            self.assertEqual([one.data for one in answers], [b"0", b"1", b"2"])
        finally:
            asked.set()
            await ended
        with self.assertRaises(NoRespondersError):
            await service.request("echo", timeout=120)
