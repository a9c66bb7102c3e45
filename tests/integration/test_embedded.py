"""natsroute.daemon.embedded with a real nats-server"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from natsroute.client.servers import Server
from natsroute.daemon.embedded import EmbeddedServer
from natsroute.errors import ConnectionLostError
from tests.support.log_recorder import LogRecorder
from tests.support.plain_client import PlainClient, ServerSaysError
from tests.support.processes import alive, status_of
from tests.support.twistd import TwistdTestCase
from tests.support.waiting import until


class EmbeddedServerTests(TestCase):
    """EmbeddedServer"""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.log = LogRecorder(self)
        self.failed: list[Failure] = []

    def server(self, **options: Any) -> EmbeddedServer:
        server = EmbeddedServer(self.reactor, on_failed=self.failed.append, **options)
        self.addCleanup(server.stopService)
        return server

    async def info(self, server: Server, token: str | None) -> dict[str, Any]:
        """Log in with a token; returns the fields of INFO."""

        def log_in() -> dict[str, Any]:
            login = {} if token is None else {"auth_token": token}
            with PlainClient(str(server), login=lambda info: login) as client:
                return client.infos[0]

        info: dict[str, Any] = await deferToThread(log_in)
        return info

    def token(self, server: Server) -> str:
        assert server.credentials is not None
        return str(server.credentials.token)

    async def test_start_and_stop(self) -> None:
        server = self.server()
        self.assertRegex(str(await server.start()), r"nats://127\.0\.0\.1:\d+")
        self.assertTrue(alive(server.pid))
        await server.stopService()
        self.assertFalse(alive(server.pid))
        self.assertEqual(self.log.lines("error"), [])

    async def test_token(self) -> None:
        """Who does not know it is refused, and neither the process list nor the environment has it."""
        embedded = self.server()
        server = await embedded.start()
        token = self.token(server)
        for wrong in (None, "wrong", token[:-1]):
            with self.assertRaisesRegex(ServerSaysError, "Authorization Violation"):
                await self.info(server, wrong)
        await self.info(server, token)
        guard = status_of(embedded.pid)["PPid"]
        for pid in (str(embedded.pid), guard):
            for file in ("cmdline", "environ"):
                self.assertNotIn(token.encode(), Path("/proc", pid, file).read_bytes())

    async def test_two_at_once(self) -> None:
        first, second = self.server(), self.server()
        self.assertNotEqual(str(await first.start()), str(await second.start()))

    async def test_port_in_use(self) -> None:
        """It fails, with the error of nats-server."""
        port = (await self.server().start()).port
        error = await self.assertFailure(self.server(port=port).start(), ConnectionLostError)
        self.assertIn("address already in use", str(error))

    async def test_jetstream(self) -> None:
        """Only if a folder for it is given."""
        plain = await self.server().start()
        self.assertFalse((await self.info(plain, self.token(plain))).get("jetstream"))
        folder = Path(self.mktemp()).absolute()
        server = await self.server(store_dir=str(folder), token="of this test").start()
        self.assertTrue((await self.info(server, "of this test"))["jetstream"])
        self.assertTrue(folder.is_dir())

    async def test_ignores_sigterm(self) -> None:
        """A server that does not react to SIGTERM is killed."""
        server = self.server()
        await server.start()
        os.kill(server.pid, signal.SIGSTOP)
        await server.stopService()
        self.assertFalse(alive(server.pid))


def server_pid() -> int:
    """The only nats-server below this process: a child of its guard."""
    guards = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=True)
    for guard in guards.stdout.split():
        found = subprocess.run(["pgrep", "-P", guard], capture_output=True, text=True, check=False)
        if found.stdout:
            return int(found.stdout)
    raise AssertionError("there is no nats-server")


class ServiceTests(TestCase):
    """A service with an embedded server."""

    async def check_that_it_comes_back(self, *, kill_guard: bool) -> None:
        """Kill the server or its guard. It comes back on the same port, and messages flow again."""
        from twisted.internet import reactor

        arrived: list[str] = []
        routes = EventRoutes()

        @routes("nats:in")
        def on_message(event: Event) -> None:
            arrived.append(event.data.decode())

        settings = Settings(embedded_server=True, subject_queue_group="in", reconnect_wait=0.1)
        log = LogRecorder(self)
        service = NatsrouteService(settings, routes)
        service.startService()
        self.addCleanup(service.stopService)
        await service.ready()
        await service.publish("in", "before")
        await until(lambda: arrived == ["before"], reactor)
        first = str(service.connections[0].status().server)
        pid: int = await deferToThread(server_pid)
        victim = int(status_of(pid)["PPid"]) if kill_guard else pid
        os.kill(victim, signal.SIGKILL)
        await until(lambda: not alive(pid), reactor)
        await until(lambda: log.matching("ended by itself"), reactor)
        # A message reaches only consumers that are connected.
        await until(lambda: all(connection.status().reconnects for connection in service.connections), reactor)
        await until(lambda: service.connected, reactor)
        await service.publish("in", "after")
        await until(lambda: "after" in arrived, reactor)
        self.assertEqual(str(service.connections[0].status().server), first)

    async def test_killed_server(self) -> None:
        await self.check_that_it_comes_back(kill_guard=False)

    async def test_killed_guard(self) -> None:
        """It leaves no orphan that would hold the port."""
        await self.check_that_it_comes_back(kill_guard=True)


class ProgramTests(TwistdTestCase):
    """``twistd natsroute --embedded_server``"""

    def test_it_cannot_start(self) -> None:
        """One line says why, and the exit code is 1."""
        first = self.run_program("natsroute", "--embedded_server")
        self.wait_for("listens on nats://127.0.0.1:", first)
        port = first.output().partition("listens on nats://127.0.0.1:")[2].split()[0]
        second = self.run_program("natsroute", "--embedded_server", "--embedded_server_port", port)
        self.assertEqual(second.wait(), 1, second.output())
        lines = [line for line in second.output().splitlines() if "address already in use" in line]
        self.assertEqual(len(lines), 1, second.output())
        self.assertIn(
            f"The embedded server did not start: nats-server: Error listening on port: 127.0.0.1:{port}", lines[0]
        )
        self.assertNotIn("Traceback", second.output())
