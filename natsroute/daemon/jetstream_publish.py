"""Publishing to streams in a service: the connection, the buffer, and the subjects of the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.daemon.connections import Connections
from natsroute.daemon.joining import join
from natsroute.daemon.settings.settings import Settings
from natsroute.jetstream.publisher import JetStreamPublisher
from natsroute.jetstream.stream_publish_options import Buffer, StreamPublishOptions
from natsroute.jetstream.stream_subject import StreamSubject
from natsroute.ledger import PublisherAccount
from natsroute.publishing.options import RunInPool
from natsroute.wire.frames import Msg
from natsroute.wire.subjects import matcher

#: What the connection is for; part of its name.
PURPOSE = "stream publisher"


class JetStreamPublish:
    """
    What a service publishes to streams with. The connection is made with the first message to a stream, unless the
    settings name subjects of streams: then the service is not ready without it.

    :param run_in_pool: runs a function in the thread pool.
    :param buffer: counts what is held.
    :param unhandled: logs failures that nobody handles: an ``UnhandledFailureLog``.
    :param next_id: gives an id for a subject. Any thread may call it.

    :ivar connection: the connection.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        connections: Connections,
        run_in_pool: RunInPool,
        buffer: Buffer,
        unhandled: Any,
        next_id: Callable[[], str],
    ) -> None:
        #: Whether ``jetstream_publish`` names a subject.
        self.takes: Callable[[str], bool] = matcher(settings.jetstream_publish)
        self._connections = connections
        self.next_id = next_id
        new = connections.new if settings.jetstream_publish else connections.new_idle
        self.connection = new(PURPOSE, Msg)
        self.buffer = buffer
        self._publisher = JetStreamPublisher(
            self.connection,
            reactor,
            run_in_pool,
            self.buffer,
            unhandled,
            StreamPublishOptions(
                window=settings.jetstream_publish_window,
                ack_timeout=settings.jetstream_publish_timeout,
                max_age=settings.publish_limits.max_age,
            ),
            inbox_prefix=settings.inbox_prefix,
        )
        self.account: Callable[[], PublisherAccount] = self._publisher.account
        self.cancelled: Callable[[], None] = self._publisher.cancelled
        self.flush: Callable[[], Deferred[None]] = self._publisher.flush
        self.drain: Callable[[], Deferred[None]] = self._publisher.drain
        self.abandon: Callable[[], None] = self._publisher.abandon

    def join(self) -> None:
        """Let the publisher know what happens to its connection."""
        join(self.connection, self._publisher)

    def subject(self, name: str) -> StreamSubject:
        """
        What publishes to a subject.

        :raises SubjectError: the subject is invalid.
        """
        subject = self._publisher.subject(name)
        self._connections.start_when_possible(self.connection)
        return subject
