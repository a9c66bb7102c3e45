"""What the tests with secured servers share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.client.status import State
from natsroute.errors import SettingError
from tests.support.cases import LogRecorder, until
from tests.support.nats_servers import ConfiguredServer

#: Settings with which a test does not wait long.
QUICK: dict[str, Any] = {"reconnect_wait": 0.05, "reconnect_max_wait": 0.2, "reconnect_jitter": 0.0, "login_wait": 0.3}


class SecuredTestCase(TestCase):
    """Real nats-servers with configurations, and natsroute services that end with the test."""

    timeout = 120

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.log = LogRecorder(self)

    def file(self, name: str, text: str, mode: int = 0o600) -> str:
        """A file of the test; gives its path."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    async def server(self, config: str = "", **options: Any) -> ConfiguredServer:
        """A nats-server that runs."""
        server = ConfiguredServer(self.reactor, config, **options)
        self.addCleanup(server.stop)
        await server.start()
        return server

    def service(
        self, routes: EventRoutes | None = None, *, credentials: Any = None, **settings: Any
    ) -> NatsrouteService:
        """A natsroute service that has been started."""
        settings = {**QUICK, "num_publish_workers": 1, **settings}
        service = NatsrouteService(Settings(**settings), routes, credentials=credentials)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def until(self, condition: Any) -> None:
        """See :func:`tests.support.cases.until`."""
        await until(condition, self.reactor)

    async def gets_in(self, **settings: Any) -> NatsrouteService:
        """The service connects, and a message goes all the way round."""
        event_route, arrived = EventRoutes(), []
        event_route("nats:a")(lambda event: arrived.append(event.data))
        service = self.service(event_route, subject_queue_group=["a:q"], **settings)
        await self.until(lambda: service.connected)
        await service.publish("a", b"hello")
        await self.until(lambda: arrived == [b"hello"])
        return service

    async def is_told(self, *words: str, **settings: Any) -> str:
        """The service does not connect; gives the one log line that says why, which has these words in it."""
        service = self.service(**settings)
        connection = service.connections[0]
        tries: list[object] = []
        connection.observe(lambda change: tries.append(change.state))
        await self.until(lambda: len(tries) >= 2)
        self.assertEqual(set(tries), {State.CONNECT_FAILED})
        lines = self.log.matching("Cannot use")
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])
        return lines[0]

    def is_refused(self, *words: str, **settings: Any) -> str:
        """There is no such service: gives the error, which has these words in it."""
        error = self.assertRaises(SettingError, lambda: NatsrouteService(Settings(**settings)))
        for word in words:
            self.assertIn(word, str(error))
        return str(error)
