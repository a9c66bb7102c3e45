"""What a service sends with: its publish workers, its requests, and the answers of its routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults

from natsroute.client.connection import Connection
from natsroute.daemon.connections import Connections
from natsroute.daemon.sending.answering import Answering
from natsroute.daemon.sending.batch_publish import BatchPublish
from natsroute.daemon.sending.jetstream import new_api, new_checks
from natsroute.daemon.sending.key_values import ServerBuckets
from natsroute.daemon.sending.publish_workers import PublishWorkers
from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.daemon.sending.requesting import Requesting
from natsroute.daemon.sending.shared_htables import SharedHtables
from natsroute.daemon.settings.settings import Settings
from natsroute.routes.runner import RunnerContext


class Sending:
    """
    Builds what a service sends with, and knows what must be closed at the end.

    :param on_high_water: called when a publish worker has no space for more.
    :param on_low_water: called after that, when it has space again.
    :param on_confirmed: see :class:`~natsroute.publishing.publisher.Publisher`.

    :ivar workers: the publish workers.
    :ivar publisher: publishes over their connections.
    :ivar publish_all: publishes a batch: :meth:`BatchPublish.publish_all
        <natsroute.daemon.sending.batch_publish.BatchPublish.publish_all>`.
    :ivar requesting: sends requests.
    :ivar jetstream_api: asks the JetStream API.
    :ivar streams: creates and checks the streams and consumers of the settings.
    :ivar key_values: the key-value buckets.
    :ivar htables: the htables of scripts that are kept in buckets.
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
        self._connections = connections
        self.publisher = self.workers.publisher
        self._thread = ReactorThread(reactor.callFromThread)
        shares, inbox_prefix = bool(settings.kamailio_htable), settings.inbox_prefix
        needed = shares or settings.names_streams
        self.requesting = Requesting(connections, reactor, self._thread, inbox_prefix=inbox_prefix, needed=needed)
        self.jetstream_api = new_api(settings, self.requesting)
        self.streams = new_checks(settings, self.requesting, self.jetstream_api, reactor)
        streams = self.workers.streams
        self._batches = BatchPublish(
            streams.new_batches(self.requesting),
            self._thread,
            partial(connections.start_when_possible, self.requesting.connection),
            settings.publish_limits.policy,
            streams.next_id,
        )
        self.publish_all = self._batches.publish_all
        self.key_values = ServerBuckets(
            self.jetstream_api, self.requesting, connections, reactor, inbox_prefix=inbox_prefix, needed=shares
        )
        self.requesting.key_value = self.key_values.key_value
        key_value_connections = self.requesting.connection, self.key_values.watches
        self.htables = SharedHtables(
            settings.kamailio_htable,
            self.key_values,
            reactor,
            self._thread,
            create=settings.jetstream_create,
            start=lambda: connections.start(key_value_connections),
        )
        self.htables.observe(*key_value_connections)

    def start(self) -> None:
        """Accept messages. Call this in the reactor thread."""
        self._thread.start()
        self.publisher.start()
        self._batches.is_open = True

    def stop(self, timeout: float) -> Deferred[None]:
        """
        Accept no more messages; a request waits for the next start from now on, unless its connection runs already.
        Wait until the server has what was published, and the buckets what scripts have changed in shared htables.

        :param timeout: seconds to wait at most.
        :return: fires then; never fails.
        """
        self._connections.stopped()
        self._batches.is_open = False
        stopped = gatherResults([self.publisher.stop(timeout), self.htables.stop(timeout)])
        return stopped.addCallback(lambda _: self.key_values.stop_watches())

    def for_consumer(self, context: RunnerContext, connection: Connection) -> RunnerContext:
        """The context of a runner of messages that come over a connection: answers may go out there."""
        return attrs.evolve(context, answer=Answering(connection, self.publisher.publish, self._thread).answer)

    @property
    def stream_problems(self) -> Iterable[tuple[str, str]]:
        """What is wrong with streams: those that are not as the settings say, and those that take no messages."""
        return (*self.streams.problems, *self.workers.streams.problems)

    @property
    def connections(self) -> Sequence[Connection]:
        """The connections that are needed until the last route and the last hook have ended."""
        return [
            *self.workers.connections,
            self.workers.streams.connection,
            self.requesting.connection,
            self.key_values.watches,
        ]

    @property
    def threads(self) -> Service:
        """The pool that makes payloads."""
        return self.workers.threads
