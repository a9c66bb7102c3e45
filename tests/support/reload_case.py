"""Test cases for reloads: a service in memory, whose routes file changes."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from natsroute.daemon.code import own_modules
from natsroute.wire.frames import Address
from tests.support.log_recorder import LogRecorder
from tests.support.memory_reactor import Reactor

HEAD = "from natsroute import EventRoutes\nfrom twisted.internet.defer import Deferred\nevent_route = EventRoutes()\n"


class NoTrial:
    """A trial that succeeds at once."""

    def __init__(self, *arguments: object) -> None:
        self.ended: Deferred[None] = succeed(None)
        self.exited: Deferred[None] = succeed(None)


class ReloadCase(SynchronousTestCase):
    """
    A service that has started, without a server.

    :ivar steps: what the code has done, in order: its global ``steps``.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.log = LogRecorder(self)
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        self.routes = self.folder / "reload_routes.py"
        self.steps: list[Any] = []
        before = dict(sys.modules)
        self.patch(own_modules, "_of_program", frozenset(before))
        self.patch(sys, "path", list(sys.path))
        self.addCleanup(lambda: [sys.modules.pop(name) for name in sys.modules.keys() - before.keys()])
        sys.modules["reload_steps"] = self  # type: ignore[assignment]

    def write(self, source: str) -> None:
        """Write the routes file. Its ``steps`` are those of the test."""
        self.routes.write_text(f"from reload_steps import steps\n{HEAD}{textwrap.dedent(source)}", encoding="utf-8")

    def service(self, own: EventRoutes | None = None, **settings: Any) -> NatsrouteService:
        """A service that may be reloaded, and has one consumer, ``a.>``."""
        given = {"event_routes": str(self.routes), "subject_queue_group": ["a.>"], **settings}
        service = NatsrouteService(Settings(**given), own, reactor=self.reactor)
        service._reloader._new_trial = NoTrial  # type: ignore[assignment]
        service.program.hooks.start(service)
        service._reloader.allow()
        return service

    def send(self, service: NatsrouteService, subject: str, data: bytes = b"") -> Deferred[None] | None:
        """A message arrives; the subscription hands it over."""
        return service.consumers[0].runner.on_msg(Event(Address(subject, 1), data))

    def reload(self, service: NatsrouteService) -> Any:
        """Reload, without a wait."""
        return self.successResultOf(service.reload())
