"""Joins a publish worker to its connection: neither knows the other."""

from __future__ import annotations

from typing import Protocol

from natsroute.client.connection import Connection
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import ServerError, ServerLeftError


class Worker(Protocol):
    """A :class:`~natsroute.publishing.worker.PublishWorker`, as its connection sees it."""

    def connected(self) -> None:
        """There is a connection."""

    def disconnected(self, reason: Exception | None = None, *, cleanly: bool = False) -> None:
        """The connection ended."""

    def limits_changed(self) -> None:
        """The server has announced its limits."""

    def refused(self, error: ServerError) -> None:
        """The server sent an error."""


def join(connection: Connection, worker: Worker) -> None:
    """Notify a publish worker of what happens to its connection."""

    def on_change(change: Change) -> None:
        if change.event is ConnectionEvent.CONNECTED:
            worker.connected()
        elif change.event is ConnectionEvent.DISCONNECTED:
            worker.disconnected(change.reason, cleanly=isinstance(change.reason, ServerLeftError))
        elif change.event is ConnectionEvent.REFUSED:  # the subscription for what the worker waits for
            worker.disconnected(change.reason)
        elif change.event is ConnectionEvent.CLOSED:
            worker.disconnected(cleanly=True)

    connection.observe(on_change)
    connection.observe_errors(lambda error, server: worker.refused(error))
    connection.observe_info(lambda info: worker.limits_changed())
