"""The admin methods over NATS, with a real nats-server"""

from __future__ import annotations

import json
from typing import Any

from natsroute import EventRoutes, NatsrouteService
from natsroute.daemon.settings.operation_settings import CHANGING_METHODS
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase, ServerTestCase


class AdminSubjectTests(OneServerTestCase):
    """Requests of another client."""

    asked = 0

    async def connect(self, **settings: Any) -> NatsrouteService:
        """A service that answers at ``admin.sbc``; and the client, another service, which collects the answers."""
        self.received: list[Any] = []
        event_route = EventRoutes()
        event_route("nats:answers")(lambda event: self.received.append(event.json()))
        self.client = await self.connect_service(event_route, subject_queue_group=["answers"])
        return await self.connect_service(subject_queue_group=["a:q"], admin_subject="admin.sbc", **settings)

    async def ask(self, method: str) -> Any:
        """The answer to a request."""
        self.asked += 1
        request = {"jsonrpc": "2.0", "method": method, "id": self.asked}

        def answers() -> list[Any]:  # those to requests before this one may still come
            return [answer for answer in self.received if answer["id"] == request["id"]]

        def asked() -> bool:
            if not answers():  # nothing waits for the subscription of the admin subject
                self.client.publish("admin.sbc", request, reply="answers")
            return bool(answers())

        await self.until(asked)
        await self.client.flush()  # the service that the test connects next gets no request that was meant for this one
        return answers()[0]

    async def test_ready(self) -> None:
        """What the service says of itself."""
        await self.connect(client_name="sbc")
        self.assertEqual((await self.ask("ready"))["result"], {"ready": True, "reasons": []})
        overview = (await self.ask("overview"))["result"]
        self.assertEqual(overview["name"], "sbc")
        # Its connection is none of those that the service needs.
        self.assertEqual(len(overview["connections"]), 3)

    async def test_stop(self) -> None:
        """It is not offered, unless it is named."""
        service = await self.connect()
        self.assertIn("there is no method 'stop'", (await self.ask("stop"))["error"]["message"])
        await service.stopService()
        service = await self.connect(admin_subject_methods=["stop"])
        self.assertIsNone((await self.ask("stop"))["result"])
        await self.until(lambda: not service.running)
        self.assertEqual(service.overview().reasons[0].code, "stopping")

    async def test_restart(self) -> None:
        """After a stop, it answers again."""
        service = await self.connect()
        await self.ask("ready")
        await service.stopService()
        service.startService()
        await self.until(lambda: service.connected)
        self.assertIs((await self.ask("ready"))["result"]["ready"], True)

    async def test_methods_that_settings_may_name(self) -> None:
        """They are all those that change something."""
        service = await self.connect(admin_subject_methods=CHANGING_METHODS)
        methods = service._operations.methods
        self.assertEqual(set(methods.names) - set(methods.reading), set(CHANGING_METHODS))


class RefusedTests(ServerTestCase):
    """A server that does not permit the subscription."""

    async def test_refused(self) -> None:
        """The service is ready nevertheless, and the log says what is refused."""
        log = LogRecorder(self)
        server = await self.start_server(
            'authorization { user: u, password: p, permissions: { subscribe: { deny: "admin.>" } } }'
        )
        service = self.start_service(nats_url=server.url.replace("//", "//u:p@"), admin_subject="admin.sbc")
        await self.until(lambda: service.connected and log.matching("admin subject: "))
        self.assertTrue(service.overview().ready)
        self.assertEqual(json.loads(json.dumps(service.overview().as_json()))["reasons"], [])
