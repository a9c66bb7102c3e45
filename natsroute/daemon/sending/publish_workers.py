"""The publish workers of a service: their connections, their thread pool, and the publisher that they make up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from natsroute.confirmation import UnhandledFailureLog
from natsroute.daemon.connections import Connections
from natsroute.daemon.sending.jetstream_publish import PURPOSE, JetStreamPublish
from natsroute.daemon.sending.joining import join
from natsroute.daemon.settings.settings import Settings
from natsroute.daemon.threads import Threads
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.outlet import unique_ids
from natsroute.publishing.publisher import Publisher


class PublishWorkers:
    """
    Builds the publisher of a service, and joins its workers to their connections.

    :param on_high_water: called when a worker has no space for more.
    :param on_low_water: called after that, when it has space again.
    :param on_confirmed: see :class:`~natsroute.publishing.publisher.Publisher`.

    :ivar connections: one for each worker, in order.
    :ivar threads: the pool that makes payloads.
    :ivar streams: publishes to streams, over a connection of its own.
    :ivar publisher: publishes over the connections, and to the streams.
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
        numbers = range(1, settings.num_publish_workers + 1)
        self.connections = [connections.new(f"publish worker {number}") for number in numbers]
        self.threads = Threads(reactor, "natsroute publish", settings.num_publish_workers)
        unhandled = UnhandledFailureLog(reactor)
        self.streams = JetStreamPublish(
            reactor,
            settings,
            connections,
            self.threads.run,
            Buffer(settings.publish_limits, on_high_water, on_low_water),
            unhandled,
            partial(next, unique_ids()),
        )
        self.publisher = Publisher(
            self.connections,
            reactor,
            run_in_pool=self.threads.run,
            call_from_thread=reactor.callFromThread,
            limits=settings.publish_limits,
            on_high_water=on_high_water,
            on_low_water=on_low_water,
            on_confirmed=on_confirmed,
            message_ids=unique_ids() if settings.publish_msg_id else None,
            unhandled=unhandled,
            streams=self.streams,
        )

    def join(self) -> None:
        """Let each worker know what happens to its connection."""
        for connection, worker in zip(self.connections, self.publisher.workers):
            join(connection, worker)
        self.streams.join()

    def named(self) -> Iterator[tuple[str, Any]]:
        """Each worker after its name, and what publishes to streams, if anything has."""
        for number, worker in enumerate(self.publisher.workers, 1):
            yield f"publish worker {number}", worker
        if self.streams.account().published:
            yield PURPOSE, self.streams
