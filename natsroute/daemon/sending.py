"""What a service sends with: its publish workers, and its requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service

from natsroute.client.connection import Connection
from natsroute.daemon.connections import Connections
from natsroute.daemon.jetstream import new_api
from natsroute.daemon.publish_workers import PublishWorkers
from natsroute.daemon.requesting import Requesting
from natsroute.daemon.settings.settings import Settings


class Sending:
    """
    Builds what a service sends with, and knows what must be closed at the end.

    :param on_high_water: called when a publish worker has no space for more.
    :param on_low_water: called after that, when it has space again.
    :param on_confirmed: see :class:`~natsroute.publishing.publisher.Publisher`.

    :ivar workers: the publish workers.
    :ivar publisher: publishes over their connections.
    :ivar requesting: sends requests.
    :ivar jetstream_api: asks the JetStream API.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        connections: Connections,
        *,
        on_high_water: Callable[[], None],
        on_low_water: Callable[[], None],
        on_confirmed: Callable[[int, float, int], None] | None,
    ) -> None:
        self.workers = PublishWorkers(
            reactor,
            settings,
            connections,
            on_high_water=on_high_water,
            on_low_water=on_low_water,
            on_confirmed=on_confirmed,
        )
        self.publisher = self.workers.publisher
        self.requesting = Requesting(connections, reactor, needed=False)
        self.jetstream_api = new_api(settings, self.requesting)

    @property
    def connections(self) -> Sequence[Connection]:
        """The connections that are needed until the last route and the last hook have ended."""
        return [*self.workers.connections, self.requesting.connection]

    @property
    def threads(self) -> Service:
        """The pool that makes payloads."""
        return self.workers.threads
