"""
NATS micro services: nats-py sees ours, and asks them.

The ``nats`` tool is not installed where these tests run. They send the requests that its commands send (``nats service
ping``, ``list``, ``info`` and ``stats``), and check the answers against what its JSON schemas require.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.micro.request import ServiceError
from nats.micro.service import (
    INFO_RESPONSE_TYPE,
    PING_RESPONSE_TYPE,
    STATS_RESPONSE_TYPE,
    EndpointInfo,
    ServiceInfo,
    ServicePing,
    ServiceStats,
    ServiceVerb,
    control_subject,
)
from twisted.internet.threads import deferToThread

from natsroute import Endpoint, Event, EventRoutes, NatsrouteService, Reject
from natsroute.payloads import to_json
from tests.support.server_case import OneServerTestCase

#: Seconds that a client waits for answers. They take milliseconds, but the machine may be busy.
COLLECT = 300.0

#: What the schemas of the ``nats`` tool require of the answers, by type: the fields, and the types of some.
COMMON = {"type": str, "name": str, "id": str, "version": str, "metadata": dict}
SCHEMAS: Mapping[str, Mapping[str, type]] = {
    PING_RESPONSE_TYPE: COMMON,
    INFO_RESPONSE_TYPE: {**COMMON, "description": str, "endpoints": list},
    STATS_RESPONSE_TYPE: {**COMMON, "started": str, "endpoints": list},
}
ENDPOINT_SCHEMAS: Mapping[str, Mapping[str, type]] = {
    INFO_RESPONSE_TYPE: {"name": str, "subject": str, "queue_group": str, "metadata": dict},
    STATS_RESPONSE_TYPE: {
        **{"name": str, "subject": str, "queue_group": str, "num_requests": int, "num_errors": int},
        **{"last_error": str, "processing_time": int, "average_processing_time": int, "data": dict},
    },
}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


async def several(client: Client, subject: str, count: int) -> list[bytes]:
    """Ask as the ``nats`` tool does: an empty message, and all answers to one inbox."""
    answers: list[bytes] = []
    everything = asyncio.Event()

    async def keep(msg: Msg) -> None:
        answers.append(msg.data)
        if len(answers) >= count:
            everything.set()

    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=keep)
    await client.publish(subject, b"", reply=inbox)
    await asyncio.wait_for(everything.wait(), COLLECT)
    await client.flush()  # an answer too many would be here by now
    return answers


class ServicesTests(OneServerTestCase):
    """Two instances of a service with three endpoints."""

    async def announce(self, **settings: Any) -> NatsrouteService:
        """Start an instance."""
        event_route = EventRoutes(group="calc")

        @event_route("nats:add", responds=True)
        async def add(event: Event) -> int:
            if not event.data:
                raise Reject("no numbers")
            return sum(event.json())

        @event_route("nats:divide", responds=True, endpoint=Endpoint("div", {"schema": "two numbers"}))
        def divide(event: Event) -> float:
            dividend, divisor = event.json()
            return float(dividend / divisor)

        given = {
            "service_name": "calc",
            "service_version": "1.2.3-rc.1",
            "service_description": "Calculates.",
            "service_metadata": ["site=fra"],
            "subject_queue_group": "calc.>:q",
            **settings,
        }
        service = await self.connect_service(event_route, **given)
        announced = service._operations._announced
        assert announced is not None
        await self.until(lambda: announced._connection.state.is_connected)
        return service

    async def as_client(self, talk: Callable[[Client], Awaitable[Any]]) -> Any:
        """Run a conversation of nats-py, in a thread with an asyncio loop."""

        async def connected() -> Any:
            async with await nats.connect(self.url) as client:
                return await talk(client)

        return await deferToThread(asyncio.run, connected())

    def check(self, answers: Sequence[bytes]) -> list[dict[str, Any]]:
        """Check answers as the ``nats`` tool does, and return them."""
        found: list[dict[str, Any]] = [to_json(answer, "") for answer in answers]
        for answer in found:
            kind = answer["type"]
            self.check_fields(answer, SCHEMAS[kind])
            self.assertRegex(answer["name"], r"^[a-zA-Z0-9_-]+$")
            self.assertTrue(all(isinstance(text, str) for text in answer["metadata"].values()))
            if kind == STATS_RESPONSE_TYPE:
                self.assertRegex(answer["started"], RFC_3339)
            for endpoint in answer.get("endpoints", ()):
                self.check_fields(endpoint, ENDPOINT_SCHEMAS[kind])
                self.assertRegex(endpoint["name"], r"^[a-zA-Z0-9_-]+$")
        return found

    def check_fields(self, found: Mapping[str, Any], fields: Mapping[str, type]) -> None:
        self.assertEqual({name: type(value) for name, value in found.items()}, dict(fields))

    async def test_discovery(self) -> None:
        """nats-py reads each answer: to all services, to those of a name, and to an instance."""
        services = [await self.announce(), await self.announce(service_metadata=["site=ams"])]
        ids = {service._operations._announced.identity.id for service in services}  # type: ignore[union-attr]

        async def talk(client: Client) -> list[Any]:
            pings = [
                ServicePing.from_dict(to_json(answer, ""))
                for answer in await several(client, control_subject(ServiceVerb.PING), 2)
            ]
            infos = [
                ServiceInfo.from_dict(to_json(answer, ""))
                for answer in await several(client, control_subject(ServiceVerb.INFO, "calc"), 2)
            ]
            one = await client.request(control_subject(ServiceVerb.STATS, "calc", pings[0].id), timeout=COLLECT)
            return [pings, infos, ServiceStats.from_dict(to_json(one.data, ""))]

        pings, infos, stats = await self.as_client(talk)
        self.assertEqual(({ping.id for ping in pings}, len(ids)), (ids, 2))
        self.assertEqual({(ping.name, ping.version) for ping in pings}, {("calc", "1.2.3-rc.1")})
        self.assertEqual(sorted(ping.metadata["site"] for ping in pings), ["ams", "fra"])
        for info in infos:
            self.assertEqual(info.description, "Calculates.")
            self.assertEqual(
                info.endpoints,
                [
                    EndpointInfo("add", "calc.add", "q"),
                    EndpointInfo("div", "calc.divide", "q", {"schema": "two numbers"}),
                ],
            )
        self.assertEqual((stats.id, [one.num_requests for one in stats.endpoints]), (pings[0].id, [0, 0]))

    async def test_requests(self) -> None:
        """Answers, errors as headers, and both in the statistics."""
        service = await self.announce()

        async def talk(client: Client) -> list[Any]:
            sums = [
                (await client.request("calc.add", b"[%d, 1]" % number, timeout=COLLECT)).data for number in range(5)
            ]
            failed = await client.request("calc.divide", b"[1, 0]", timeout=COLLECT)
            rejected = await client.request("calc.add", b"", timeout=COLLECT)
            stats = await client.request(control_subject(ServiceVerb.STATS, "calc"), timeout=COLLECT)
            return [sums, failed, rejected, ServiceStats.from_dict(to_json(stats.data, ""))]

        sums, failed, rejected, stats = await self.as_client(talk)
        self.assertEqual(sums, [b"1", b"2", b"3", b"4", b"5"])
        error = ServiceError(failed.headers["Nats-Service-Error-Code"], failed.headers["Nats-Service-Error"])
        self.assertEqual((int(error.code), failed.data), (500, b""))
        self.assertIn("ZeroDivisionError", error.description)
        self.assertEqual(dict(rejected.headers), {"Nats-Service-Error": "no numbers", "Nats-Service-Error-Code": "400"})
        add, div = stats.endpoints
        self.assertEqual((add.num_requests, add.num_errors, add.last_error), (6, 1, "no numbers"))
        self.assertEqual((div.num_requests, div.num_errors, div.last_error), (1, 1, error.description))
        for endpoint in (add, div):
            self.assertGreater(endpoint.processing_time, 0)
            self.assertEqual(endpoint.average_processing_time, endpoint.processing_time // endpoint.num_requests)
        announced = service._operations._announced
        assert announced is not None
        assert announced.identity is not None
        self.assertEqual(stats.started, announced.identity.started.replace(tzinfo=None))
        self.flushLoggedErrors(ZeroDivisionError)

    async def test_requests_of_the_nats_tool(self) -> None:
        """``nats service ping``, ``list``, ``info`` and ``stats``, with and without a name."""
        await self.announce()
        await self.announce()

        async def talk(client: Client) -> list[Any]:
            answers = []
            for subject, count in (
                ("$SRV.PING", 2),
                ("$SRV.PING.calc", 2),
                ("$SRV.INFO", 2),
                ("$SRV.INFO.calc", 2),
                ("$SRV.STATS.calc", 2),
            ):
                answers.append(self.check(await several(client, subject, count)))
            chosen = answers[3][0]["id"]
            for subject in (f"$SRV.INFO.calc.{chosen}", f"$SRV.STATS.calc.{chosen}"):
                answers.append(self.check(await several(client, subject, 1)))
            return answers

        for answers in await self.as_client(talk):
            self.assertEqual(len({answer["id"] for answer in answers}), len(answers))
            self.assertEqual({answer["name"] for answer in answers}, {"calc"})
