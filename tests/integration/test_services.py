"""A service that is announced, at a real server: reloads, processes, and the end of it"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.errors import NoRespondersError
from tests.support.documents import snippet
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.reload_case import NoTrial
from tests.support.server_case import OneServerTestCase
from tests.support.waiting import TIMEOUT

SERVICE = {"service_name": "calc", "service_version": "1.0.0"}
ROUTES = """
import os
from natsroute import EventRoutes
event_route = EventRoutes()
@event_route("nats:calc.{name}", responds=True)
def {name}(event):
    return os.getpid()
"""


class AnnouncedTests(OneServerTestCase):
    """A program that asks another one."""

    async def client(self) -> NatsrouteService:
        """A program that only asks."""
        client = await self.connect_service()
        await client.ready()
        return client

    async def ask(self, client: NatsrouteService, verb: str) -> Any:
        """The answer to a question, once somebody answers it."""
        give_up = self.reactor.seconds() + TIMEOUT
        while True:
            try:
                return (await client.request(f"$SRV.{verb}")).json()
            except NoRespondersError:
                if self.reactor.seconds() > give_up:
                    raise

    async def test_document(self) -> None:
        """The program of docs/services.md."""
        names: dict[str, Any] = {}
        exec(snippet("docs/services.md", "Services").source, names)
        service = await self.connect_service(names["calc"], subject_queue_group="calc.>:q", **SERVICE)
        client = await self.client()
        self.assertEqual((await client.request("calc.add", [1, 2])).json(), 3)
        self.assertEqual((await client.request("calc.divide", [1, 4])).json(), 0.25)
        info = await self.ask(client, "INFO")
        self.assertEqual(
            [(endpoint["name"], endpoint["subject"]) for endpoint in info["endpoints"]],
            [("add", "calc.add"), ("div", "calc.divide")],
        )
        self.assertEqual(info["endpoints"][1]["metadata"], {"schema": "[number, number]"})
        await service.stopService()

    async def test_reload(self) -> None:
        """INFO shows the endpoints of the new code; the instance stays the same, and so do its counters."""
        routes = Path(self.mktemp()).with_suffix(".py").absolute()
        routes.write_text(ROUTES.format(name="add"))
        service = await self.connect_service(event_routes=str(routes), subject_queue_group="calc.*:q", **SERVICE)
        service._reloader._new_trial = NoTrial
        client = await self.client()
        await client.request("calc.add")
        before = await self.ask(client, "INFO")
        self.assertEqual([(row.id, row.endpoints) for row in service.overview().services], [(before["id"], 1)])
        self.assertEqual([endpoint["name"] for endpoint in before["endpoints"]], ["calc-add"])
        routes.write_text(ROUTES.format(name="add") + ROUTES.format(name="sub").partition("EventRoutes()")[2])
        await service.reload()
        after = await self.ask(client, "INFO")
        self.assertEqual(
            [(endpoint["name"], endpoint["subject"]) for endpoint in after["endpoints"]],
            [("calc-add", "calc.add"), ("calc-sub", "calc.sub")],
        )
        self.assertEqual(after["id"], before["id"])
        stats = await self.ask(client, "STATS")
        self.assertEqual([endpoint["num_requests"] for endpoint in stats["endpoints"]], [1, 0])

    async def test_stop(self) -> None:
        """While the last requests are answered, nobody finds the service any more."""
        event_route = EventRoutes()
        running: Deferred[str] = Deferred()
        begun: list[Event] = []

        @event_route("nats:calc.add", responds=True)
        def add(event: Event) -> Deferred[str]:
            begun.append(event)
            return running

        service = await self.connect_service(event_route, subject_queue_group="calc.*:q", drain_timeout=60, **SERVICE)
        client = await self.client()
        await self.ask(client, "PING")
        answer = client.request("calc.add", timeout=60)
        await self.until(lambda: begun)
        stopped = service.stopService()
        announced = service._operations._announced
        assert announced is not None
        await self.until(lambda: announced._connection.state.is_ending)
        while True:  # the server may not have seen the end of the connection yet
            try:
                await client.request("$SRV.PING", timeout=0.2)
            except NoRespondersError:
                break
            except Exception:  # a question that was on its way
                continue
        self.assertFalse(stopped.called)
        running.callback("5")
        self.assertEqual((await answer).text(), "5")
        await stopped

    async def test_after_a_restart_of_the_server(self) -> None:
        """It is found again."""
        event_route = EventRoutes()
        event_route("nats:calc.add", responds=True)(lambda event: 5)
        await self.connect_service(event_route, subject_queue_group="calc.*:q", **SERVICE)
        client = await self.client()
        before = await self.ask(client, "PING")
        await self.server.restart()
        await self.until(lambda: client.connected)
        self.assertEqual((await self.ask(client, "PING"))["id"], before["id"])

    async def test_without_a_name(self) -> None:
        """Nobody answers, and there is no connection for it."""
        event_route = EventRoutes()
        event_route("nats:calc.add", responds=True)(lambda event: 5)
        service = await self.connect_service(event_route, subject_queue_group="calc.*:q")
        self.assertEqual(service._connections.spare, [])
        client = await self.client()
        with self.assertRaises(NoRespondersError):
            await client.request("$SRV.PING")

    async def test_processes(self) -> None:
        """Each process is an instance, and only those that run event routes are."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        arguments = ("--nats_url", self.url, "--subject_queue_group", "calc.*:q", "--processes", "2")
        named = ("--service_name", "calc", "--service_version", "1.0.0")
        program = NatsrouteProcess(self.reactor, folder, ROUTES.format(name="add"), *arguments, *named)
        self.addCleanup(program.stop)
        instances: list[str] = []
        event_route = EventRoutes()
        event_route("nats:answers")(lambda event: instances.append(event.json()["id"]))
        client = await self.connect_service(event_route, subject_queue_group="answers")

        give_up = self.reactor.seconds() + TIMEOUT
        while len(set(instances)) < 2:
            await client.publish("$SRV.PING.calc", b"", "answers")
            self.assertLess(self.reactor.seconds(), give_up)
        asked = len(instances)
        for _ in range(10):
            await client.publish("$SRV.PING.calc", b"", "answers")
        await self.until(lambda: len(instances) >= asked + 20)
        self.assertEqual(len(set(instances)), 2)
