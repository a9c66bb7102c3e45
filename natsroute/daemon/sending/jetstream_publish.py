"""Publishing to streams in a service: the connection, the buffer, and the subjects of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed

from natsroute.daemon.connections import Connections
from natsroute.daemon.sending.joining import join
from natsroute.daemon.sending.requesting import Requesting
from natsroute.daemon.settings.settings import Settings
from natsroute.jetstream.publishing.atomic_batch import AtomicBatches
from natsroute.jetstream.publishing.stream_options import Buffer, StreamPublishOptions
from natsroute.jetstream.publishing.stream_publisher import JetStreamPublisher
from natsroute.jetstream.publishing.stream_subject import StreamSubject
from natsroute.ledger import PublisherAccount
from natsroute.publishing.options import RunInPool
from natsroute.wire.frames import Msg
from natsroute.wire.subjects import matcher

#: What the connection is for; part of its name.
PURPOSE = "stream publisher"
#: Seconds after which a message that no stream takes is a reason not to be ready.
UNACKNOWLEDGED_AFTER = 5.0
#: Subjects that are named.
_MAX_PROBLEMS = 3


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
        self._clock = reactor
        self._options = StreamPublishOptions(
            window=settings.jetstream_publish_window,
            ack_timeout=settings.jetstream_publish_timeout,
            max_age=settings.publish_limits.max_age,
        )
        self._publisher = JetStreamPublisher(
            self.connection,
            reactor,
            run_in_pool,
            self.buffer,
            unhandled,
            self._options,
            inbox_prefix=settings.inbox_prefix,
        )
        self.cancelled: Callable[[], None] = self._publisher.cancelled
        self._batches: AtomicBatches | None = None

    def new_batches(self, requesting: Requesting) -> AtomicBatches:
        """What publishes batches, over the connection for requests. They count with the messages."""
        self._batches = AtomicBatches(
            requesting.connection, requesting.requests, self._clock, self._options, self.buffer
        )
        return self._batches

    def account(self) -> PublisherAccount:
        """What became of the messages, those of batches included."""
        account = self._publisher.account()
        return account if self._batches is None else PublisherAccount.total([account, self._batches.account()])

    def flush(self) -> Deferred[None]:
        """Fires when each message and batch so far is acknowledged or has failed."""
        return self._both(self._publisher.flush())

    def drain(self) -> Deferred[None]:
        """The same, and none may be added after this call."""
        return self._both(self._publisher.drain())

    def _both(self, published: Deferred[None]) -> Deferred[None]:
        batches = succeed(None) if self._batches is None else self._batches.flush()
        return gatherResults([published, batches]).addCallback(lambda _: None)

    def abandon(self) -> None:
        """Fail all messages and batches that are not acknowledged."""
        self._publisher.abandon()
        if self._batches is not None:
            self._batches.abandon()

    @property
    def problems(self) -> Iterator[tuple[str, str]]:
        """Subjects whose messages no stream has taken for a while, each with the reason."""
        if not self._publisher.writer.blocked:  # nearly always
            return
        old = self._clock.seconds() - UNACKNOWLEDGED_AFTER
        named: set[str] = set()
        for message in [*self._publisher.unacknowledged.values()]:
            target = message.target
            if target.problem is not None and message.since <= old and target.name not in named:
                named.add(target.name)
                yield PURPOSE, f"cannot publish to {target.name!r}: {target.problem}"
                if len(named) == _MAX_PROBLEMS:
                    return

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
