"""One ``jetstream_consumer`` at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from natsroute.client.connection import Connection
from natsroute.client.requests import Requests
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.consuming.consumer import Consumer
from natsroute.daemon.settings.jetstream_entries import ConsumerEntry
from natsroute.errors import PendingLimitError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.acks import Acks
from natsroute.jetstream.consuming.consumer_lookup import Prepare, nothing_to_prepare
from natsroute.jetstream.consuming.pull_consumer import PullConsumer
from natsroute.jetstream.consuming.pull_options import PullOptions
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


@attrs.define(eq=False)
class _Returned:
    """Messages that were given back to the stream before a route had them."""

    messages: int = 0


@attrs.frozen
class JetStreamConsumer(Consumer):
    """
    One ``jetstream_consumer`` at work.

    :ivar pull: the same as ``source``.
    :ivar acks: writes its acknowledgements.
    :ivar stream: acknowledges for its routes.
    :ivar in_progress: reports what takes long.
    """

    clock: Any
    pull: PullConsumer
    acks: Acks
    stream: StreamConsumer
    in_progress: InProgress
    returned: _Returned = attrs.Factory(_Returned)

    @property
    def problem(self) -> str | None:
        """Why nothing is consumed although there is a connection, as a sentence."""
        if self.pull.problem is not None:
            return f"consumes nothing: {self.pull.problem}"
        return "has not found its consumer yet" if self.pull.info is None else None

    def start(self) -> None:
        """Consume from now on, whenever there is a connection."""
        self.stream.start()
        self.pull.start()
        self.in_progress.start()

    def drain(self) -> Deferred[None]:
        """
        Ask for no more messages. The connection stays for acknowledgements.

        :return: fires when no more messages can come. It never fails.
        """
        return self.pull.drain()

    def hand_back(self) -> None:
        """Give back what waits: no call will begin for it."""
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
        self.pull.stop()
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        if self.connection.state.is_usable:
            flushed: Deferred[None] = Deferred()
            self.acks.flush().addBoth(lambda _: None if flushed.called else flushed.callback(None))
            flushed.addTimeout(FLUSH_TIMEOUT, self.clock, onTimeoutCancel=lambda *_: None)
            await flushed
        await self.connection.stopService()

    def account(self) -> ConsumerAccount:
        """What became of its messages so far."""
        return attrs.evolve(super().account(), returned=self.returned.messages, lag=self.pull.num_pending)


class StreamParts:
    """
    What a :class:`JetStreamConsumer` consists of, before there is its runner.

    :param api: asks for the consumer.
    :param in_flight: the calls that have not ended.
    :param clock: the reactor.
    :param options: what each pull asks for.
    :param inbox_prefix: what the reply subjects begin with.
    :param prepare: creates or checks the consumer.

    :ivar stream: acknowledges for its routes.
    """

    def __init__(
        self,
        connection: Connection,
        api: JetStreamApi,
        in_flight: CallsInFlight,
        clock: Any,
        options: PullOptions,
        inbox_prefix: str,
        prepare: Prepare = nothing_to_prepare,
    ) -> None:
        self._inbox_prefix = inbox_prefix
        self._api = api
        self._prepare = prepare
        self._clock = clock
        self._options = options
        self._acks = Acks(connection, Requests(connection, clock, inbox_prefix=inbox_prefix), clock)
        self._pull: PullConsumer | None = None
        self.stream = StreamConsumer(self._acks, self._rules, in_flight, clock.callFromThread)

    def consumer(
        self,
        entry: ConsumerEntry,
        connection: Connection,
        runner: Runner,
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None],
    ) -> JetStreamConsumer:
        """The consumer. The arguments are those of :meth:`natsroute.daemon.consuming.consumer.Consumer.subscribe`."""

        pull = PullConsumer(
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
            prepare=self._prepare,
            inbox_prefix=self._inbox_prefix,
        )
        self._pull = pull
        runner.receive_from(pull.hand_to)
        in_progress = InProgress(self.stream, self._clock)  # what is pending, the pull consumer reports
        return JetStreamConsumer(
            entry, connection, runner, pull, self._clock, pull, self._acks, self.stream, in_progress
        )

    def _rules(self) -> DeliveryRules:
        """What the server has said of the consumer."""
        info = None if self._pull is None else self._pull.info
        if info is None:
            return DeliveryRules(ack_wait=_UNKNOWN_ACK_WAIT)
        config = info.config
        return DeliveryRules(config.ack_wait or 0.0, max(0, config.max_deliver or 0), config.backoff or ())
