"""The end of a service: what is waited for, for how long, and in which order things stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from natsroute.client.connection import Connection
from natsroute.daemon.consuming.consumer import Consumers
from natsroute.log import Logger

#: Seconds to wait for the server to confirm what was published.
FLUSH_TIMEOUT = 5.0
#: Seconds between two looks at whether everything has been handled.
_LOOK_AGAIN = 0.01


class Shutdown:
    """
    Ends a service in order: consumers first, then the hooks, then the publisher, then the rest.

    :param consumers: the consumers, which are drained for up to ``drain_timeout`` seconds.
    :param stop_hooks: runs the ``on_stop`` hooks, for up to ``hook_timeout`` seconds. Then they are cancelled.
    :param stop_publisher: called with the maximum seconds to wait for confirmations. Its Deferred fires when the
        publisher has stopped.
    :param publish_connections: the connections of the publisher.
    :param threads: the pools of threads, which stop together.
    :param embedded: the embedded server, which stops last, or None.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        consumers: Consumers,
        drain_timeout: float,
        stop_hooks: Callable[[], Deferred[None]],
        hook_timeout: float,
        stop_publisher: Callable[[float], Deferred[None]],
        publish_connections: Sequence[Connection],
        threads: Sequence[Service],
        embedded: Service | None,
    ) -> None:
        self._reactor = reactor
        self._consumers = consumers
        self._drain_timeout = drain_timeout
        self._stop_hooks = stop_hooks
        self._hook_timeout = hook_timeout
        self._stop_publisher = stop_publisher
        self._publish_connections = publish_connections
        self._threads = threads
        self._embedded = embedded
        self._drain_skipped = False

    def prepare(self) -> None:
        """To be called at the start: the next stop drains, whatever happened to the last one."""
        self._drain_skipped = False

    def skip_drain(self) -> None:
        """Wait neither for messages to be handled nor for hooks. What was published is still confirmed."""
        self._drain_skipped = True

    async def run(self) -> None:
        """Stop everything; returns when all has stopped."""
        await deferLater(self._reactor, 0)  # a route may have asked for it, and a call that runs cannot be cancelled
        await self._drain()
        await self._consumers.close()
        await self._run_hooks()
        await self._stop_publisher(FLUSH_TIMEOUT)
        await gatherResults([connection.stopService() for connection in self._publish_connections])
        if not self._consumers.is_cut_off:
            self._cut_off()  # connection events may have started calls since the drain
        await gatherResults([threads.stopService() for threads in self._threads])
        if self._embedded is not None:
            await self._embedded.stopService()

    async def _run_hooks(self) -> None:
        stopped = self._stop_hooks()
        give_up = self._reactor.seconds() + self._hook_timeout
        while not stopped.called:
            if self._drain_skipped or self._reactor.seconds() >= give_up:
                stopped.addErrback(lambda cancelled: None)
                stopped.cancel()
                return
            await deferLater(self._reactor, _LOOK_AGAIN)

    async def _drain(self) -> None:
        """Wait until all that was received has been handled, or the time is over."""
        received = self._consumers.drain()
        give_up = self._reactor.seconds() + self._drain_timeout
        while not (received.called and self._consumers.idle):
            if self._drain_skipped or self._reactor.seconds() >= give_up:
                self._cut_off()
                return
            await deferLater(self._reactor, _LOOK_AGAIN)

    def _cut_off(self) -> None:
        """Name the messages that were not handled, cancel their calls, and start no others."""
        unfinished = self._consumers.unfinished
        if unfinished:
            self.log.error(
                "Messages received but not fully handled: {count}; subjects: {subjects}",
                count=len(unfinished),
                subjects=", ".join(sorted(set(unfinished))[:10]),
            )
        self._consumers.cut_off()
