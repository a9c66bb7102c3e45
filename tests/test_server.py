"""natsroute.monitoring.http.server"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import SettingError
from natsroute.monitoring.http.server import HttpServer
from natsroute.monitoring.http.site import Site
from tests.support.http_requests import Client
from tests.support.log_recorder import LogRecorder
from tests.support.overviews import an_overview


class ServerTests(SynchronousTestCase):
    """A reactor in memory."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.site = Site(self.reactor, an_overview)

    def test_start(self) -> None:
        log = LogRecorder(self)
        server = HttpServer(self.reactor, self.site, "127.0.0.1", 8080)
        server.startService()
        ((port, factory, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, factory, interface), (8080, self.site, "127.0.0.1"))
        self.assertEqual(server.url, f"http://127.0.0.1:{server.port}")
        self.assertEqual(log.lines("info"), [f"Operators can see natsroute at {server.url}/"])

    def test_stop(self) -> None:
        """All connections end, also busy ones."""
        server = HttpServer(self.reactor, self.site, "127.0.0.1", 8080)
        server.startService()
        clients = [Client(self.site) for _ in range(3)]
        self.successResultOf(server.stopService())
        self.assertEqual([client.transport.aborted for client in clients], [True] * 3)
        self.successResultOf(server.stopService())

    def test_port_in_use(self) -> None:
        """The setting, the value and the remedy."""

        def listen(port: int, *arguments: object, interface: str, **options: object) -> Any:
            raise CannotListenError(interface, port, OSError(errno.EADDRINUSE, "Address already in use"))

        self.patch(self.reactor, "listenTCP", listen)
        server = HttpServer(self.reactor, self.site, "::1", 80)
        error = self.assertRaises(SettingError, server.startService)
        self.assertEqual(
            str(error),
            "http_listen = '[::1]:80': natsroute cannot listen there: Address already in use. Give an address of this "
            "machine and a port that is free, or stop the program that has it",
        )
        self.assertFalse(server.running)
        self.successResultOf(server.stopService())

    def test_tls(self) -> None:
        """Another factory listens."""

        class Tls:
            def factory(self, site: Any) -> Any:
                return ("TLS", site)

        server = HttpServer(self.reactor, self.site, "::1", 1, tls=Tls())
        server.startService()
        self.assertEqual(self.reactor.tcpServers[0][1], ("TLS", self.site))
        self.assertTrue(server.url.startswith("https://[::1]:"))

    def test_stand_in(self) -> None:
        """It has the listening socket, and stops before that is closed."""
        calls: list[object] = []

        class StandIn:
            def __init__(self, listening: object) -> None:
                calls.append(listening)

            def start(self) -> None:
                calls.append("start")

            def stop(self) -> None:
                calls.append("stop")

        listening = self.reactor.listenTCP(0, self.site)
        listening.socket = "socket"
        listening.stopListening = lambda: calls.append("closed")
        self.patch(self.reactor, "listenTCP", lambda *arguments, **options: listening)
        stand_in: Any = StandIn
        server = HttpServer(self.reactor, self.site, "127.0.0.1", 1, stand_in=stand_in)
        server.startService()
        self.successResultOf(server.stopService())
        self.assertEqual(calls, ["socket", "start", "stop", "closed"])
