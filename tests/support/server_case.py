"""Test cases with real nats-servers and natsroute services, which all end with the test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from natsroute import EventRoutes, NatsrouteService, Settings
from tests.support.environment import PATIENT
from tests.support.nats_server import NatsServer
from tests.support.waiting import TIMEOUT, until


class ServerTestCase(TestCase):
    """
    A test that starts servers and services.

    :cvar settings: the settings of each service, unless a test gives others; in addition to ``PATIENT``.
    """

    settings: dict[str, Any] = {}

    def setUp(self) -> Any:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    async def start_server(self, config: str = "", **options: Any) -> NatsServer:
        """
        Start a nats-server.

        :param options: see :class:`~tests.support.nats_server.NatsServer`.
        """
        server = NatsServer(self.reactor, config, **options)
        self.addCleanup(server.stop)
        await server.start()
        return server

    def start_service(
        self, routes: EventRoutes | None = None, *, credentials: Any = None, **settings: Any
    ) -> NatsrouteService:
        """Start a natsroute service. It may not be connected yet."""
        together = {**PATIENT, **self.settings, **settings}
        make = partial(Settings.from_environment, {}) if "kamailio_cfg" in together else Settings
        service = NatsrouteService(make(**together), routes, credentials=credentials)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def at_best(self, check: Callable[[], Awaitable[None]], *, attempts: int = 4) -> None:
        """
        Check what NATS does unless the machine is busy, so that one of several attempts must show it.

        While a connection moves to another node, messages may be on their way between two nodes. One that has not read
        them when the subscription ends there, and does not know of the new one, drops them: at most once. A stream
        delivers again what is not reported as in progress in time.
        """
        for attempt in range(1, attempts + 1):
            try:
                await check()
            except AssertionError:
                if attempt == attempts:
                    raise
            else:
                break

    async def until(self, condition: Callable[[], object], *, timeout: float = TIMEOUT) -> None:
        """See :func:`tests.support.waiting.until`."""
        await until(condition, self.reactor, timeout=timeout)


class OneServerTestCase(ServerTestCase):
    """
    A test with one nats-server, which is :attr:`server`.

    :cvar config: its configuration.
    """

    config = ""
    settings = {"drain_timeout": 1.0}  # some tests leave calls behind that never end

    def setUp(self) -> Deferred[None]:
        super().setUp()
        return Deferred.fromCoroutine(self._start_server())

    async def _start_server(self) -> None:
        self.server = await self.start_server(self.config)

    @property
    def url(self) -> str:
        """Where the server listens."""
        return self.server.url

    async def connect_service(
        self, routes: EventRoutes | None = None, *, timeout: float = TIMEOUT, **settings: Any
    ) -> NatsrouteService:
        """Start a natsroute service and wait until it is connected, to the server unless the settings name another."""
        service = self.start_service(routes, **{"nats_url": self.url, **settings})
        await self.until(lambda: service.connected, timeout=timeout)
        return service
