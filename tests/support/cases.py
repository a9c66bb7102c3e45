"""What tests of several rooms share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.daemon.embedded import EmbeddedServer

#: Seconds that anything may take before its test fails; the machine may be busy.
PATIENCE = 30.0


async def until(condition: Callable[[], object], reactor: Any, *, patience: float = PATIENCE) -> None:
    """Wait until the condition holds; an AssertionError tells which did not."""
    give_up = reactor.seconds() + patience
    while not condition():
        if reactor.seconds() > give_up:
            raise AssertionError(f"waited {patience} s in vain: {condition.__code__.co_names}")
        await deferLater(reactor, 0.01)


class LogRecorder:
    """Keeps the log of a test: ``recorder = LogRecorder(testcase)``."""

    def __init__(self, testcase: TestCase) -> None:
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        testcase.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def lines(self, level: str | None = None) -> list[str]:
        """The messages, of one level (``"warn"``) or of all."""
        return [formatEvent(event) for event in self.events if level is None or event["log_level"].name == level]

    def matching(self, text: str) -> list[str]:
        """The messages that have the text in them."""
        return [line for line in self.lines() if text in line]


class RealServerTestCase(TestCase):
    """
    A test with a real nats-server, at ``self.url``, and natsroute services that end with the test.

    :cvar server_arguments: more arguments for nats-server.
    """

    timeout = 120
    server_arguments: tuple[str, ...] = ()

    def setUp(self) -> Deferred[Any]:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.server = EmbeddedServer(reactor, arguments=self.server_arguments)  # type: ignore[arg-type]
        self.addCleanup(lambda: self.server.stopService())
        return self.server.start()

    @property
    def url(self) -> str:
        return self.server.url

    def kill_server(self) -> None:
        """SIGKILL, as a crash would be."""
        os.kill(self.server.pid, signal.SIGKILL)

    async def restart_server(self) -> None:
        """A new nats-server on the old one's port."""
        await self.server.stopService()
        port = int(self.server.url.rpartition(":")[2])
        self.server = EmbeddedServer(self.reactor, port=port, arguments=self.server_arguments)
        await self.server.start()

    async def until(self, condition: Callable[[], object], *, patience: float = PATIENCE) -> None:
        """See :func:`until`."""
        await until(condition, self.reactor, patience=patience)

    async def start(
        self, routes: EventRoutes | None = None, *, connect_patience: float = PATIENCE, **settings: Any
    ) -> NatsrouteService:
        """A natsroute service, connected to the server."""
        settings.setdefault("nats_url", self.url)
        settings.setdefault("drain_timeout", 1.0)  # some tests leave handlers behind that never end
        service = NatsrouteService(Settings(**settings), routes)
        service.startService()
        self.addCleanup(service.stopService)
        await self.until(lambda: service.connected, patience=connect_patience)
        return service
