"""natsroute.daemon.connections"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.client.auth import Credentials
from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change
from natsroute.daemon import connections
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.connections import Connections
from natsroute.errors import SettingError


class MemoryConnection:
    """A connection that keeps what it is built with."""

    def __init__(self, reactor: Any, servers: Any, **options: Any) -> None:
        self.servers = servers
        self.options = options
        self.running = False
        self.observers: list[Callable[..., object]] = []
        self.observe = self.observers.append
        self.error_observers: list[Callable[..., object]] = []
        self.observe_errors = self.error_observers.append

    def startService(self) -> None:
        self.running = True


class ConnectionsTests(SynchronousTestCase):
    """All connections of a service."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def connections(self, credentials: Any = None, **settings: Any) -> Connections:
        return Connections(self.reactor, Settings(**settings), credentials, ConnectionLog(self.reactor))

    def memory_connections(self, credentials: Any = None, **settings: Any) -> tuple[Connections, list[Any]]:
        """Connections, and two that they have built."""
        self.patch(connections, "Connection", MemoryConnection)
        built = self.connections(credentials, **settings)
        return built, [built.new("publish worker 1"), built.new("consumer a:q")]

    def test_new_spare(self) -> None:
        """It starts with the others, and nothing waits for it."""
        built, both = self.memory_connections()
        spare: Any = built.new_spare("admin subject")
        self.assertEqual((built.all, built.spare), (both, [spare]))
        self.assertEqual(spare.options["client_name"], "natsroute admin subject")
        built.start()
        self.assertEqual([one.running for one in (*both, spare)], [True] * 3)
        built.use(Server("127.0.0.1", 4333))
        self.assertEqual(spare.servers.next(0.0)[0].port, 4333)

    def test_new(self) -> None:
        """Each has its purpose in its name, a pool of servers of its own, and the log watches it."""
        built, both = self.memory_connections(
            client_name="me", nats_url="nats://b", tls=True, ping_interval=3, max_inbound_payload=5
        )
        self.assertEqual(built.all, both)
        self.assertEqual([one.options["client_name"] for one in both], ["me publish worker 1", "me consumer a:q"])
        self.assertIs(both[0].options["tls_memory"], both[1].options["tls_memory"])
        self.assertIsNot(both[0].servers, both[1].servers)
        self.assertEqual([(len(one.observers), len(one.error_observers)) for one in both], [(2, 1)] * 2)
        for one in both:
            self.assertEqual((one.options["require_tls"], one.options["timing"].ping_interval), (True, 3.0))
            self.assertEqual(one.options["inbound_limits"].payload, 5)
            self.assertEqual(one.servers.next(0.0)[0], Server("b"))

    def test_credentials(self) -> None:
        """Those of the settings, or a function instead."""
        _, [one, _] = self.memory_connections(token="t")
        self.assertEqual(one.options["credentials"](), Credentials(token="t"))

        def rotating() -> Credentials:
            return Credentials(token="other")

        _, [one, _] = self.memory_connections(rotating, token="t")
        self.assertIs(one.options["credentials"], rotating)

    def test_start(self) -> None:
        """All of them, not before."""
        built, both = self.memory_connections()
        self.assertEqual([one.running for one in both], [False, False])
        built.start()
        self.assertEqual([one.running for one in both], [True, True])

    def test_use(self) -> None:
        """The address of the embedded server is known later."""
        built, both = self.memory_connections(embedded_server=True)
        built.use(Server("127.0.0.1", 4333))
        self.assertEqual([one.servers.next(0.0)[0].port for one in both], [4333, 4333])

    def test_connected(self) -> None:
        """Real ones are not, before the start."""
        built = self.connections()
        built.new("one")
        self.assertFalse(built.connected)

    def test_some_first(self) -> None:
        """Some are started before the others, and each once."""
        built, both = self.memory_connections()
        built.start(both[:1])
        self.assertEqual([one.running for one in both], [True, False])
        both[0].startService = None  # not called again
        built.start()
        self.assertEqual([one.running for one in both], [True, True])

    def test_when_connected(self) -> None:
        """It fires when all that it is about are connected at the same time."""
        built, both = self.memory_connections()

        def change(one: Any, state: State) -> None:
            one.state = state
            for observer in one.observers:
                observer(Change(ConnectionEvent.CLOSED))

        for one in both:
            one.state = State.CLOSED
        first, everything, cancelled = built.when_connected(both[:1]), built.when_connected(), built.when_connected()
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        change(both[0], State.CONNECTED)
        self.successResultOf(first)
        change(both[0], State.WAITING)
        change(both[1], State.CONNECTED)
        self.assertNoResult(everything)
        change(both[0], State.CONNECTED)
        for fired in (everything, built.when_connected(), built.when_connected(both[1:])):
            self.successResultOf(fired)
        change(both[0], State.WAITING)
        self.assertNoResult(built.when_connected())

    def test_named(self) -> None:
        """In the order in which they were built, also where two have the same purpose."""
        built, both = self.memory_connections()
        built.new("consumer a:q")
        self.assertEqual([name for name, _ in built.named], ["publish worker 1", "consumer a:q", "consumer a:q"])
        self.assertEqual([one for _, one in built.named], built.all)
        self.assertEqual(built.all[:2], both)

    def test_what_cannot_be_used(self) -> None:
        """It is found before any connection is made."""

        def missing(url: str) -> None:
            raise SettingError("nats_url", url, "WebSocket needs autobahn", "Install it")

        self.patch(connections, "with_autobahn", missing)
        for settings, name in [
            ({"nkey_file": "no such file"}, "nkey_file"),
            ({"tls": True, "tls_ca_file": "no such file"}, "tls_ca_file"),
            ({"nats_url": "ws://a"}, "nats_url"),
        ]:
            error = self.assertRaises(SettingError, self.connections, **settings)
            self.assertEqual(error.setting, name)
        self.connections(nats_url="nats://a")
