"""One ``jetstream_replay`` at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed

from natsroute.client.connection import Connection
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.consuming.consumer import Consumer
from natsroute.daemon.settings.jetstream_entries import ReplayEntry
from natsroute.errors import PendingLimitError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.ephemeral_consumers import Start
from natsroute.jetstream.consuming.ordered_consumer import OrderedConsumer
from natsroute.ledger import ConsumerAccount
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.replaying import ReplayedStream
from natsroute.routes.runner import Runner


@attrs.frozen
class ReplayConsumer(Consumer):
    """
    One ``jetstream_replay`` at work.

    :ivar ordered: the same as ``source``.
    """

    ordered: OrderedConsumer

    @property
    def problem(self) -> str | None:
        """Why nothing is read although there is a connection, as a sentence."""
        if self.ordered.problem is not None:
            return f"consumes nothing: {self.ordered.problem}"
        return None if self.ordered.created else "has not found its stream yet"

    def start(self) -> None:
        """Read from now on, whenever there is a connection; after a stop, behind the last message."""
        self.ordered.start()

    def drain(self) -> Deferred[None]:
        """Read no more. What waits is still handed over."""
        self.ordered.stop()
        return succeed(None)

    def account(self) -> ConsumerAccount:
        """What became of its messages so far."""
        return attrs.evolve(super().account(), lag=self.ordered.num_pending)


class ReplayParts:
    """
    What a :class:`ReplayConsumer` consists of, before there is its runner.

    :param api: creates the consumers.
    :param in_flight: the calls that have not ended.
    :param reactor: the reactor.
    :param inbox_prefix: what the reply subjects begin with.

    :ivar stream: stands for the acknowledgements of its routes.
    """

    def __init__(self, api: JetStreamApi, in_flight: CallsInFlight, reactor: Any, inbox_prefix: str) -> None:
        self._api = api
        self._reactor = reactor
        self._inbox_prefix = inbox_prefix
        self.stream = ReplayedStream(in_flight, reactor.callFromThread)

    def consumer(
        self,
        entry: ReplayEntry,
        connection: Connection,
        runner: Runner,
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None],
    ) -> ReplayConsumer:
        """The consumer. The arguments are those of :meth:`natsroute.daemon.consuming.consumer.Consumer.subscribe`."""
        ordered = OrderedConsumer(
            connection,
            self._api,
            entry.stream,
            clock=self._reactor,
            on_msg=runner.on_msg,
            filter_subjects=entry.filter_subjects,
            start=Start(entry.policy, entry.sequence, entry.time),
            limits=limits,
            inbox_prefix=self._inbox_prefix,
        )
        runner.receive_from(ordered.hand_to)
        return ReplayConsumer(entry, connection, runner, ordered, ordered)
