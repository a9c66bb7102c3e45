"""natsroute.daemon.embedded with a real nats-server"""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.trial.unittest import TestCase

from natsroute.daemon.embedded import EmbeddedServer
from natsroute.errors import ConnectionLostError
from tests.support.log_recorder import LogRecorder
from tests.support.processes import alive
from tests.support.waiting import until


class EmbeddedServerTests(TestCase):
    """EmbeddedServer"""

    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.log = LogRecorder(self)

    def server(self, **options: Any) -> EmbeddedServer:
        server = EmbeddedServer(self.reactor, **options)
        self.addCleanup(server.stopService)
        return server

    async def test_start_and_stop(self) -> None:
        server = self.server()
        url = await server.start()
        self.assertRegex(url, r"nats://127\.0\.0\.1:\d+")
        self.assertTrue(alive(server.pid))
        await server.stopService()
        self.assertFalse(alive(server.pid))
        self.assertEqual(self.log.lines("error"), [])

    async def test_two_at_once(self) -> None:
        first, second = self.server(), self.server()
        self.assertNotEqual(await first.start(), await second.start())

    async def test_port_in_use(self) -> None:
        """It fails, with the error of nats-server."""
        first = self.server()
        port = int((await first.start()).rpartition(":")[2])
        error = await self.assertFailure(self.server(port=port).start(), ConnectionLostError)
        self.assertIn("address already in use", str(error))

    async def test_ends_by_itself(self) -> None:
        server = self.server()
        await server.start()
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: self.log.matching("ended by itself"), self.reactor)

    async def test_ignores_sigterm(self) -> None:
        """A server that does not react to SIGTERM is killed."""
        server = self.server()
        await server.start()
        os.kill(server.pid, signal.SIGSTOP)
        await server.stopService()
        self.assertFalse(alive(server.pid))
