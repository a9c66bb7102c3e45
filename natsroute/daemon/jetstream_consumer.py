"""One ``jetstream_consumer`` at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from natsroute.client.connection import Connection
from natsroute.client.requests import Requests
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.consumer import Consumer
from natsroute.daemon.settings.jetstream_entries import ConsumerEntry
from natsroute.errors import PendingLimitError
from natsroute.jetstream.acks import Acks
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.pull_consumer import PullConsumer
from natsroute.jetstream.pull_options import PullOptions
from natsroute.ledger import ConsumerAccount
from natsroute.routes.ack_policy import DeliveryRules
from natsroute.routes.acknowledging import StreamConsumer
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.in_progress import InProgress
from natsroute.routes.runner import Runner

#: Seconds that the server may take at the end to confirm that it has the acknowledgements.
FLUSH_TIMEOUT = 5.0
#: Seconds that ``ack_wait`` is taken for until the server has told it.
_UNKNOWN_ACK_WAIT = 1.0


class StreamSource:
    """
    Hands the messages of a durable consumer to a runner.

    A pull consumer ends with the service. At each start of the service there is a new one.

    :param new_pull: makes a pull consumer.

    :ivar pull: the one that there is, or was last; None before the first start.
    """

    def __init__(self, new_pull: Callable[[], PullConsumer]) -> None:
        self.pull: PullConsumer | None = None
        self._new_pull = new_pull
        self._received = self._dropped = 0  # by former ones
        self._holds = 0

    @property
    def received(self) -> int:
        """Messages so far."""
        return self._received + (0 if self.pull is None else self.pull.received)

    @property
    def dropped(self) -> int:
        """Those of them that were dropped because too many were pending. The server delivers them again."""
        return self._dropped + (0 if self.pull is None else self.pull.dropped)

    @property
    def pending(self) -> int:
        """Messages that wait for the runner."""
        return 0 if self.pull is None else self.pull.pending

    @property
    def pending_subjects(self) -> list[str]:
        """The subject of each of them."""
        return [] if self.pull is None else self.pull.pending_subjects

    def hold(self) -> None:
        """Hand over no more messages, until :meth:`release` has been called as often as this."""
        self._holds += 1
        if self.pull is not None:
            self.pull.hold()

    def release(self) -> None:
        """Undo one :meth:`hold`."""
        self._holds -= 1
        if self.pull is not None:
            self.pull.release()

    def start(self) -> None:
        """Consume from now on, whenever there is a connection."""
        if self.pull is not None:
            self._received, self._dropped = self.received, self.dropped
        self.pull = self._new_pull()
        for _ in range(self._holds):
            self.pull.hold()
        self.pull.start()


@attrs.define(eq=False)
class _Returned:
    """Messages that were given back to the stream before a route had them."""

    messages: int = 0


@attrs.frozen
class JetStreamConsumer(Consumer):
    """
    One ``jetstream_consumer`` at work.

    :ivar acks: writes its acknowledgements.
    :ivar stream: acknowledges for its routes.
    :ivar in_progress: reports what takes long.
    """

    clock: Any
    acks: Acks
    stream: StreamConsumer
    in_progress: InProgress
    returned: _Returned = attrs.Factory(_Returned)

    @property
    def pull(self) -> PullConsumer | None:
        """The pull consumer; None before the first start."""
        assert isinstance(self.source, StreamSource)
        return self.source.pull

    @property
    def problem(self) -> str | None:
        """Why nothing is consumed although there is a connection, as a sentence."""
        pull = self.pull
        if pull is None:
            return None  # the service has not started
        if pull.problem is not None:
            return f"consumes nothing: {pull.problem}"
        return "has not found its consumer yet" if pull.info is None else None

    def start(self) -> None:
        """Consume from now on, whenever there is a connection."""
        assert isinstance(self.source, StreamSource)
        self.source.start()
        self.in_progress.start()

    def drain(self) -> Deferred[None]:
        """
        Ask for no more messages. The connection stays for acknowledgements.

        :return: fires when no more messages can come. It never fails.
        """
        assert self.pull is not None
        return self.pull.drain()

    def hand_back(self) -> None:
        """Give back what waits: no call will begin for it."""
        if self.pull is None:
            return
        for event in self.pull.take_pending():
            self.returned.messages += 1
            self.stream.hand_back(event)
        self.runner.hand_back()

    def close(self) -> Deferred[None]:
        """
        Close the connection when the server has all acknowledgements.

        :return: fires when it is closed.
        """
        self.in_progress.stop()
        if self.pull is not None:
            self.pull.stop()
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        if self.connection.state.is_connected:
            flushed: Deferred[None] = Deferred()
            self.acks.flush().addBoth(lambda _: None if flushed.called else flushed.callback(None))
            flushed.addTimeout(FLUSH_TIMEOUT, self.clock, onTimeoutCancel=lambda *_: None)
            await flushed
        await self.connection.stopService()

    def account(self) -> ConsumerAccount:
        """What became of its messages so far."""
        lag = None if self.pull is None else self.pull.num_pending
        return attrs.evolve(super().account(), returned=self.returned.messages, lag=lag)


class StreamParts:
    """
    What a :class:`JetStreamConsumer` consists of, before there is its runner.

    :param api: asks for the consumer.
    :param in_flight: the calls that have not ended.
    :param clock: the reactor.
    :param options: what each pull asks for.

    :ivar stream: acknowledges for its routes.
    """

    def __init__(
        self,
        connection: Connection,
        api: JetStreamApi,
        in_flight: CallsInFlight,
        clock: Any,
        options: PullOptions,
    ) -> None:
        self._api = api
        self._clock = clock
        self._options = options
        self._acks = Acks(connection, Requests(connection, clock), clock)
        self._source: StreamSource | None = None
        self.stream = StreamConsumer(self._acks, self._rules, in_flight, clock.callFromThread)

    def consumer(
        self,
        entry: ConsumerEntry,
        connection: Connection,
        runner: Runner,
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None],
    ) -> JetStreamConsumer:
        """The consumer. The arguments are those of :meth:`natsroute.daemon.consumer.Consumer.subscribe`."""

        def new_pull() -> PullConsumer:
            return PullConsumer(
                connection,
                self._api,
                self._acks,
                entry.stream,
                entry.durable,
                runner.on_msg,
                self._options,
                clock=self._clock,
                limits=limits,
                on_overflow=on_overflow,
            )

        self._source = StreamSource(new_pull)
        in_progress = InProgress(self.stream, self._clock)  # what is pending, the pull consumer reports
        return JetStreamConsumer(
            entry, connection, runner, self._source, self._clock, self._acks, self.stream, in_progress
        )

    def _rules(self) -> DeliveryRules:
        """What the server has said of the consumer."""
        pull = None if self._source is None else self._source.pull
        info = None if pull is None else pull.info
        if info is None:
            return DeliveryRules(ack_wait=_UNKNOWN_ACK_WAIT)
        return DeliveryRules(info.ack_wait, info.max_deliver or 0, info.backoff)
