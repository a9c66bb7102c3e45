"""Requests of a service to a real server"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.threads import blockingCallFromThread, deferToThread

from natsroute import EventRoutes, NatsrouteService
from natsroute.errors import (
    NoRespondersError,
    PayloadError,
    PayloadTooLargeError,
    PermissionsError,
    RequestTimeoutError,
)
from natsroute.jetstream.errors import JetStreamUnavailableError, StreamNotFoundError
from natsroute.ledger import RequestsAccount
from natsroute.message import Message
from natsroute.routes.event import Event
from tests.support.documents import snippet
from tests.support.nats_cluster import start_cluster
from tests.support.plain_client import PlainClient
from tests.support.server_case import OneServerTestCase, ServerTestCase


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

        @event_route("nats:half", responds=True)
        def half(event: Event) -> float:
            return int(event.text()) / 2

        @event_route("nats:in_a_thread", thread=True, responds=True)
        def in_a_thread(event: Event) -> bytes:
            answer: Message = blockingCallFromThread(self.reactor, event.request, "half", event.data)
            directly: Deferred[Message] = event.request("half", event.data)
            return answer.data + b" " + blockingCallFromThread(self.reactor, lambda: directly).data

        @event_route("nats:unconfirmed", thread=True)
        def unconfirmed(event: Event) -> None:
            blockingCallFromThread(self.reactor, event.respond, b"1", confirm=False)
            event.respond(b"2", confirm=False)

        subjects = [route.pattern for route in event_route]
        return await self.connect_service(event_route, subject_queue_group=[f"{subject}:q" for subject in subjects])

    async def test_answer(self) -> None:
        service = await self.responding()
        answer = await service.request("double", "21")
        self.assertEqual((answer.json(), answer.text(), answer.data), (42, "42", b"42"))

    async def test_a_route_that_asks(self) -> None:
        service = await self.responding()
        self.assertEqual((await service.request("quadruple", "10")).json(), 40)

    async def test_a_route_that_returns_its_answer(self) -> None:
        """At once, or in a thread that asks another route in both ways."""
        service = await self.responding()
        self.assertEqual((await service.request("half", "9")).json(), 4.5)
        self.assertEqual((await service.request("in_a_thread", "9")).data, b"4.5 4.5")
        [account] = [one for one in service.ledger().routes if one.route == "nats:half"]
        self.assertEqual((account.succeeded, account.failed), (3, 0))

    async def test_a_route_that_fails(self) -> None:
        """The answer says so."""
        service = await self.responding()
        answer = await service.request("half", "nothing")
        self.assertEqual(
            (answer.data, dict(answer.headers)),
            (b"", {"Nats-Service-Error": "the event route failed: ValueError", "Nats-Service-Error-Code": "500"}),
        )
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def test_unconfirmed(self) -> None:
        """Also in a thread."""
        service = await self.responding()
        self.assertEqual((await service.request("unconfirmed")).data, b"1")
        await self.until(lambda: service._sending.requesting.requests.inbox.late == 1)

    async def test_nobody(self) -> None:
        """Without a subscriber, the request fails at once; with one that does not answer, after its timeout."""
        service = await self.responding()
        with self.assertRaises(NoRespondersError):
            await service.request("nobody", timeout=60)
        with self.assertRaises(RequestTimeoutError):
            await service.request("silent", timeout=0.1)
        ledger = service.ledger()
        self.assertEqual(ledger.requests, RequestsAccount(requested=2, failed=2))
        self.assertEqual((ledger.differences(), service.overview().requests), ([], ledger.requests))

    async def test_a_payload_that_cannot_be_encoded(self) -> None:
        service = await self.responding()
        with self.assertRaises(PayloadError):
            await service.request("double", {1: object()})

    async def test_before_the_start_and_after_a_stop(self) -> None:
        """A request that is made before the start waits for it; after a stop, for the next start."""
        await self.responding()
        service = await self.connect_service()
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


PERMISSIONS = """
authorization { users: [{ user: u, password: p, permissions: {
  publish: { allow: ["double", "_INBOX.>", "_OURS.>"] }
  subscribe: { allow: ["double", "_OURS.>"] }
} }] }
"""


class PermissionTests(OneServerTestCase):
    """A user that may not subscribe to _INBOX.>, and not publish to everything."""

    config = PERMISSIONS
    settings = {"user": "u", "password": "p"}

    async def responding(self, **settings: str) -> NatsrouteService:
        """A service whose route answers."""
        event_route = EventRoutes()
        event_route("nats:double", responds=True)(lambda event: int(event.text()) * 2)
        return await self.connect_service(event_route, subject_queue_group="double:q", **self.settings, **settings)

    async def test_inbox(self) -> None:
        """A request fails at once, and says what to do."""
        service = await self.responding()
        for _ in range(2):
            with self.assertRaisesRegex(PermissionsError, "set inbox_prefix"):
                await service.request("double", "2", timeout=60)

    async def test_inbox_prefix(self) -> None:
        service = await self.responding(inbox_prefix="_OURS.natsroute")
        self.assertEqual((await service.request("double", "2")).json(), 4)

    async def test_subject(self) -> None:
        """The requests to it fail at once."""
        service = await self.responding(inbox_prefix="_OURS")
        others = [service.request("double", "3", timeout=60), service.request("forbidden", timeout=60)]
        with self.assertRaisesRegex(PermissionsError, "forbidden"):
            await service.request("forbidden", timeout=60)
        self.assertEqual((await others[0]).json(), 6)
        self.failureResultOf(others[1], PermissionsError)


class DocumentTests(OneServerTestCase):
    """docs/requests.md"""

    async def test_examples(self) -> None:
        """Its routes ask each other, as it says."""
        found: dict[str, Any] = {}
        collections: list[EventRoutes] = []
        for heading in ("Requests", "Several answers", "Routes that answer", "In a thread"):
            names: dict[str, Any] = {}
            exec(snippet("docs/requests.md", heading).source, names)
            collections.append(names["event_route"])
        event_route = EventRoutes.merged(collections)
        event_route("nats:nodes.status", responds=True)(lambda event: {"up": True})
        seen: list[Any] = []
        event_route("nats:calls.credit")(lambda event: seen.append(event.json()))
        subjects = ["calls.*", "status:q", "billing.credit:q", "reports.*:q", "nodes.status"]
        service = await self.connect_service(event_route, subject_queue_group=subjects)
        await service.publish("calls.1", "alice")
        await self.until(lambda: seen)
        self.assertEqual(seen, [{"account": "alice", "credit": 100}])
        self.assertEqual((await service.request("reports.1", "bob")).text(), "credit: 100")
        self.assertEqual((await service.request("status")).json(), [{"up": True}])
        refused = await service.request("billing.credit", {"account": ""})
        self.assertEqual(refused.headers["Nats-Service-Error-Code"], "400")
        self.assertEqual(refused.headers["Nats-Service-Error"], "the account is missing")
        found["event_route"] = event_route
        exec(snippet("docs/requests.md", "Testing").text, found)
        found["test_call"]()


class LameDuckTests(ServerTestCase):
    """A server in lame duck mode, and another one of its cluster."""

    async def test_no_answer_is_missed(self) -> None:
        """The inbox is at the other server before the first one is left."""
        await self.at_best(self.move)

    async def move(self) -> None:
        """The node of the inbox enters lame duck mode while there are requests."""
        nodes = await start_cluster(self.reactor, 2)
        for node in nodes:
            self.addCleanup(node.stop)
        event_route = EventRoutes()
        event_route("nats:double", responds=True)(lambda event: int(event.text()) * 2)
        responder = self.start_service(
            event_route, subject_queue_group="double:q", nats_url=nodes[1].url, ignore_discovered_servers=True
        )
        service = self.start_service(nats_url=[nodes[0].url, nodes[1].url], keep_url_order=True)
        await self.until(lambda: responder.connected and service.connected)
        await service.request("double", "1")
        connection = service._sending.requesting.connection
        moved = Deferred.fromCoroutine(self.until(lambda: str(nodes[1].port) in str(connection.status().server)))
        nodes[0].lame_duck()
        answered = 0
        while not moved.called or answered < 100:
            try:
                answers = await gatherResults([service.request("double", str(number), 60) for number in range(20)])
            except FirstError as error:
                self.fail(str(error.subFailure.value))
            self.assertEqual([answer.json() for answer in answers], [2 * number for number in range(20)])
            answered += len(answers)
        await moved


class AllowResponsesTests(OneServerTestCase):
    """Users that may only ask, or only answer what they were asked."""

    config = f"authorization {{ {snippet('docs/requests.md', 'Permissions', language='text').text} }}"

    async def test_answers(self) -> None:
        """Those of the consumer's connection are allowed, also when a call fails."""
        event_route = EventRoutes()
        event_route("nats:billing.returned", responds=True)(lambda event: 1)
        event_route("nats:billing.failed", responds=True)(lambda event: 1 // 0)

        @event_route("nats:billing.unconfirmed")
        async def unconfirmed(event: Event) -> None:
            await event.respond(2, confirm=False)

        @event_route("nats:billing.confirmed")
        async def confirmed(event: Event) -> None:
            try:
                await event.respond(3)
            except PermissionsError:
                await event.respond("refused", confirm=False)

        await self.connect_service(event_route, subject_queue_group="billing.*:q", user="answers", password="…")
        service = await self.connect_service(user="asks", password="…")
        answers = [await service.request(f"billing.{name}") for name in ("returned", "unconfirmed", "confirmed")]
        self.assertEqual([answer.text() for answer in answers], ["1", "2", "refused"])
        failed = await service.request("billing.failed")
        self.assertEqual(failed.headers["Nats-Service-Error-Code"], "500")
        self.flushLoggedErrors(ZeroDivisionError)
        with self.assertRaises(PermissionsError):
            await service.request("else")


class RequestManyTests(OneServerTestCase):
    """Several services that answer."""

    async def test_all_instances(self) -> None:
        """Each answers once; without anybody, the request fails at once."""
        asking = await self.connect_service()
        for number in range(3):
            event_route = EventRoutes()
            event_route("nats:who", responds=True)(lambda event, number=number: number)
            await self.connect_service(event_route, subject_queue_group="who")
        answers = await asking.request_many("who", timeout=60, max_messages=3)
        self.assertEqual(sorted(answer.json() for answer in answers), [0, 1, 2])
        with self.assertRaises(NoRespondersError):
            await asking.request_many("nobody", timeout=60)

    async def test_a_stream_of_answers(self) -> None:
        """A route sends as many as it likes, and an empty one at the end."""
        event_route = EventRoutes()

        @event_route("nats:count")
        async def count(event: Event) -> None:
            answers = await event.request_many("digits", sentinel=True)
            await event.respond([answer.text() for answer in answers])

        @event_route("nats:digits")
        def digits(event: Event) -> None:
            for digit in "0123456789":
                event.respond(digit, confirm=False)
            event.respond(b"", confirm=False)

        service = await self.connect_service(event_route, subject_queue_group=["count:q", "digits:q"])
        self.assertEqual((await service.request("count")).json(), list("0123456789"))


class HeaderTests(OneServerTestCase):
    """Headers end to end: several values, their order and case, bytes that are not UTF-8, and limits."""

    async def test_there_and_back(self) -> None:
        """A route publishes the headers that it has received again, and nothing is lost or added."""
        event_route = EventRoutes()
        seen: list[Event] = []
        event_route("nats:back")(seen.append)
        event_route("nats:there")(lambda event: event.publish("back", event.data, headers=event.headers))
        service = await self.connect_service(event_route, subject_queue_group=["back:q", "there:q"])
        headers = {"Call-ID": ["1", "", "é \udcff"], "call-id": "other", "X": "a:b"}
        await service.publish("there", b"\0", headers=headers)
        await self.until(lambda: seen)
        found = seen[0].headers
        self.assertEqual({name: found.get_all(name) for name in found}, {**headers, "call-id": ["other"], "X": ["a:b"]})
        self.assertEqual((found["Call-ID"], seen[0].data), ("1", b"\0"))

    async def test_status(self) -> None:
        """Any client can send one. A request takes only that of the server for the want of an answer."""
        event_route = EventRoutes()
        service = await self.connect_service(event_route)
        await service.request("x").addErrback(lambda failure: failure.trap(NoRespondersError))
        for block, description in ((b"NATS/1.0 503 Busy\r\nA: b\r\n\r\n", "Busy"), (b"NATS/1.0 100\r\n\r\n", "")):
            with PlainClient(self.url) as client:
                client.subscribe("ask")
                asked = service.request("ask")
                await deferToThread(self.answer, client, block)
                msg = await asked
                self.assertEqual((msg.headers.status, msg.headers.description), (int(block[9:12]), description))
                self.assertEqual(msg.data, b"!")

    def answer(self, client: PlainClient, block: bytes) -> None:
        """Answer the next request with a header block."""
        _, reply, _ = client.next_message()
        client.write(b"HPUB %b %d %d\r\n%b!\r\n" % (reply, len(block), len(block) + 1, block))
        client.flush()

    async def test_limits(self) -> None:
        """Headers count for max_payload, and a request that has too many fails before it is sent."""
        event_route = EventRoutes()
        event_route("nats:size", responds=True)(lambda event: len(event.headers["Large"]))
        service = await self.connect_service(event_route, subject_queue_group="size:q")
        max_payload = 1024 * 1024
        fits = "x" * (max_payload - len("NATS/1.0\r\nLarge: \r\n\r\n"))
        self.assertEqual((await service.request("size", headers={"Large": fits})).json(), len(fits))
        with self.assertRaises(PayloadTooLargeError):
            await service.request("size", headers={"Large": fits + "x"})
