"""The changes of one key-value bucket at work: an ordered consumer of its stream, and the event routes for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from natsroute.client.connection import Connection
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.consuming.consumer import Consumer
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.errors import NatsrouteError, PendingLimitError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.ephemeral_consumers import Start
from natsroute.jetstream.consuming.ordered_consumer import OrderedConsumer
from natsroute.jetstream.key_value.bucket import Bucket
from natsroute.ledger import ConsumerAccount
from natsroute.log import Logger
from natsroute.routes.event import Event
from natsroute.routes.runner import Runner
from natsroute.routes.unrouted import UnroutedMessages
from natsroute.wire.key_value import stream_of

#: Seconds until a bucket that cannot be looked up is looked up again: at first, and at most.
RETRY, MAX_RETRY = 0.5, 10.0

OnMsg = Callable[[Event], "Deferred[None] | None"]


class NotWarned(UnroutedMessages):
    """Routes of a bucket are for some of its keys. It is no fault if a change has no route."""

    def warn(self, configured: str, subject: str) -> None:
        """Log nothing."""


class KeyValueSource:
    """
    Hands the changes of a bucket to a runner. It begins with the last change of each key, and survives everything.

    :param bucket: the bucket.
    :param patterns: which keys.
    :param new_consumer: makes the ordered consumer, for the subjects that it reads.
    :param on_msg: see :class:`~natsroute.jetstream.consuming.ordered_consumer.OrderedConsumer`.

    :ivar dropped: none ever: reading pauses.
    """

    log = Logger()
    dropped = 0

    def __init__(
        self,
        bucket: Bucket,
        patterns: tuple[str, ...],
        new_consumer: Callable[[list[str]], OrderedConsumer],
        clock: IReactorTime,
    ) -> None:
        self._bucket = bucket
        self._patterns = patterns
        self._new_consumer = new_consumer
        self._clock = clock
        self._consumer: OrderedConsumer | None = None
        self._looking: Deferred[None] | None = None
        self._error: NatsrouteError | None = None
        self._holds = 0

    @property
    def received(self) -> int:
        """Messages so far."""
        return 0 if self._consumer is None else self._consumer.received

    @property
    def pending(self) -> int:
        """Messages that wait for the runner."""
        return 0 if self._consumer is None else self._consumer.pending

    @property
    def pending_subjects(self) -> list[str]:
        """The subject of each of them."""
        return [] if self._consumer is None else self._consumer.pending_subjects

    @property
    def lag(self) -> int | None:
        """Changes that are still to come, as the server last said; None before that."""
        return None if self._consumer is None else self._consumer.num_pending

    @property
    def problem(self) -> NatsrouteError | None:
        """Why nothing can be read, or None."""
        return self._error if self._consumer is None else self._consumer.problem

    def hold(self) -> None:
        """Hand over no more messages, until :meth:`release` has been called as often as this."""
        self._holds += 1
        if self._consumer is not None:
            self._consumer.hold()

    def release(self) -> None:
        """Undo one :meth:`hold`."""
        self._holds -= 1
        if self._consumer is not None:
            self._consumer.release()

    def start(self) -> None:
        """Read from now on. After a :meth:`stop`, go on behind the last message."""
        looking = self._looking = Deferred.fromCoroutine(self._start())
        looking.addErrback(lambda failure: failure.trap(CancelledError))

    async def _start(self) -> None:
        wait = RETRY
        while True:
            try:
                subjects = await self._bucket.subjects(self._patterns)
                break
            except NatsrouteError as error:
                if str(error) != str(self._error):
                    self.log.error(
                        "The changes of bucket {bucket} cannot be read: {reason}. It is tried again until it succeeds",
                        bucket=self._bucket.name,
                        reason=str(error),
                    )
                self._error = error.with_traceback(None)
            await deferLater(self._clock, wait)
            wait = min(2 * wait, MAX_RETRY)
        self._error = None
        if self._consumer is None:
            self._consumer = self._new_consumer(subjects)
            for _ in range(self._holds):
                self._consumer.hold()
        self._consumer.start()

    def stop(self) -> None:
        """Read no more. What waits for the runner is still handed over."""
        if self._looking is not None:
            self._looking.cancel()
        if self._consumer is not None:
            self._consumer.stop()


@attrs.frozen
class KeyValueConsumer(Consumer):
    """
    The changes of one key-value bucket at work.

    :ivar changes: the same as ``source``.
    """

    changes: KeyValueSource

    @property
    def problem(self) -> str | None:
        """Why nothing is consumed although there is a connection, as a sentence."""
        problem = self.changes.problem
        return None if problem is None else f"consumes nothing: {problem}"

    def start(self) -> None:
        """Consume from now on, whenever there is a connection."""
        self.changes.start()

    def drain(self) -> Deferred[None]:
        """
        Read no more; the connection stays open.

        :return: fires when every message that was on its way has been received. It never fails.
        """
        self.changes.stop()
        return super().drain()

    def close(self) -> Deferred[None]:
        """
        Close the connection.

        :return: fires when it is closed.
        """
        self.changes.stop()
        return super().close()

    def account(self) -> ConsumerAccount:
        """What became of its messages so far."""
        return attrs.evolve(super().account(), lag=self.changes.lag)


@attrs.frozen
class KeyValueParts:
    """
    What a :class:`KeyValueConsumer` consists of, before there is its runner.

    :ivar bucket: the bucket.
    :ivar api: creates its consumer.
    :ivar clock: the reactor.
    :ivar inbox_prefix: what the reply subjects begin with.
    """

    bucket: Bucket
    api: JetStreamApi
    clock: Any
    inbox_prefix: str

    def consumer(
        self,
        entry: KeyValueEntry,
        connection: Connection,
        runner: Runner,
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None],
    ) -> KeyValueConsumer:
        """The consumer. The arguments are those of :meth:`natsroute.daemon.consuming.consumer.Consumer.subscribe`."""

        def new_consumer(subjects: list[str]) -> OrderedConsumer:
            return OrderedConsumer(
                connection,
                self.api,
                stream_of(entry.bucket),
                clock=self.clock,
                on_msg=runner.on_msg,
                filter_subjects=subjects,
                start=Start("last_per_subject"),
                limits=limits,
                inbox_prefix=self.inbox_prefix,
            )

        source = KeyValueSource(self.bucket, entry.patterns, new_consumer, self.clock)
        return KeyValueConsumer(entry, connection, runner, source, source)
