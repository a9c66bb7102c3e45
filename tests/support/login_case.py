"""A test case for logins and TLS: whether a service connects, and what the log says if it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.client.state import ConnectionEvent
from natsroute.errors import SettingError
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import ServerTestCase


class LoginTestCase(ServerTestCase):
    """
    Nats-servers that let some clients in, and natsroute services that try.

    :ivar folder: an empty folder for the files of the test.
    :ivar log: records what the test logs.
    """

    settings = {
        "reconnect_wait": 0.05,
        "reconnect_max_wait": 0.2,
        "reconnect_jitter": 0.0,
        "login_wait": 0.3,
        "num_publish_workers": 1,
    }

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.log = LogRecorder(self)

    def file(self, name: str, text: str, mode: int = 0o600) -> str:
        """Write a file of the test; returns its path."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    async def assert_connects(self, **settings: Any) -> NatsrouteService:
        """A service with these settings connects, and a message that it publishes comes back to it."""
        event_route, arrived = EventRoutes(), []
        event_route("nats:a")(lambda event: arrived.append(event.data))
        service = self.start_service(event_route, subject_queue_group=["a:q"], **settings)
        await self.until(lambda: service.connected)
        await service.publish("a", b"hello")
        await self.until(lambda: arrived == [b"hello"])
        return service

    async def assert_cannot_connect(self, *words: str, **settings: Any) -> str:
        """A service with these settings does not connect. Returns the one log line about it, which has these words."""
        service = self.start_service(**settings)
        connection = service.connections[0]
        attempts: list[object] = []
        connection.observe(lambda change: attempts.append(change.event))
        await self.until(lambda: len(attempts) >= 2)
        self.assertEqual(set(attempts), {ConnectionEvent.CONNECT_FAILED})
        lines = self.log.matching("Cannot use")
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])
        return lines[0]

    def assert_setting_error(self, *words: str, **settings: Any) -> str:
        """No service can be made with these settings. Returns the error, which has these words."""
        error = self.assertRaises(SettingError, lambda: NatsrouteService(Settings(**settings)))
        for word in words:
            self.assertIn(word, str(error))
        return str(error)
