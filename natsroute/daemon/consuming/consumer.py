"""One ``subject_queue_group`` or ``jetstream_consumer`` at work, and all of them together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol as Interface
from typing import overload

import attrs
from twisted.internet.defer import Deferred, gatherResults

from natsroute.client.connection import Connection
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.settings.jetstream_entries import AnyEntry
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import PendingLimitError
from natsroute.ledger import ConsumerAccount, RouteCounters
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import Runner
from natsroute.turns import SharedTurns


class Source(Interface):
    """What hands messages to a runner: a subscription, or a consumer of a stream."""

    @property
    def received(self) -> int:
        """Messages so far."""

    @property
    def dropped(self) -> int:
        """Those of them that were dropped because too many were pending."""

    @property
    def pending(self) -> int:
        """Messages that wait for the runner."""

    @property
    def pending_subjects(self) -> list[str]:
        """The subject of each of them."""

    def hold(self) -> None:
        """Hand over no more messages, until :meth:`release` has been called as often as this."""

    def release(self) -> None:
        """Undo one :meth:`hold`."""


@attrs.frozen
class Consumer:
    """
    One ``subject_queue_group`` at work. Those of a ``jetstream_consumer`` are a subclass.

    :ivar entry: what is consumed.
    :ivar connection: its own connection.
    :ivar runner: runs the event routes of its messages.
    :ivar source: hands the messages to the runner.
    """

    entry: AnyEntry
    connection: Connection
    runner: Runner
    source: Source

    @classmethod
    def subscribe(
        cls,
        entry: QueueEntry,
        connection: Connection,
        runner: Runner,
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None],
    ) -> Consumer:
        """
        Subscribe a connection for a runner.

        :param limits: how much may wait for the runner.
        :param on_overflow: called when more waits than ``limits`` allow, once for each episode.
        """
        group = entry.private_group or entry.queue_group
        subscription = connection.subscribe(entry.subject, runner.on_msg, group, limits, on_overflow)
        runner.receive_from(subscription.hand_to)
        return cls(entry, connection, runner, subscription)

    @property
    def problem(self) -> str | None:
        """Why nothing is consumed although there is a connection, as a sentence; None if there is no such reason."""
        return None

    def start(self) -> None:
        """Consume from now on, whenever there is a connection."""

    def drain(self) -> Deferred[None]:
        """
        Consume no more; the connection stays open.

        :return: fires when every message that was on its way has been received. It never fails.
        """
        return self.connection.drain()

    def hand_back(self) -> None:
        """No call will begin any more: let others have the messages that wait, if they come from a stream."""

    def close(self) -> Deferred[None]:
        """
        Close the connection.

        :return: fires when it is closed.
        """
        return self.connection.stopService()

    def account(self) -> ConsumerAccount:
        """What became of its messages so far."""
        unclaimed = self.connection.status().unclaimed
        return ConsumerAccount(
            name=str(self.entry),
            received=self.source.received + unclaimed,
            pending=self.source.pending,
            overflowed=self.source.dropped,
            unclaimed=unclaimed,
            unrouted=self.runner.unrouted,
            routes=RouteCounters.total("", self.runner.route_counters),
        )


class Consumers(Sequence[Consumer]):
    """
    All consumers of a service, with the calls of its event routes. A sequence, in the order of the settings.

    :param in_flight: the calls that have not ended.
    :param turns: shares the turns of the reactor among their subscriptions.
    """

    def __init__(self, in_flight: CallsInFlight, turns: SharedTurns) -> None:
        self._in_flight = in_flight
        self._turns = turns
        self._consumers: list[Consumer] = []

    @overload
    def __getitem__(self, index: int) -> Consumer: ...
    @overload
    def __getitem__(self, index: slice) -> list[Consumer]: ...
    def __getitem__(self, index: int | slice) -> Consumer | list[Consumer]:
        return self._consumers[index]

    def __len__(self) -> int:
        return len(self._consumers)

    def add(self, consumer: Consumer) -> None:
        """Add a consumer at the end."""
        self._consumers.append(consumer)

    @property
    def idle(self) -> bool:
        """Whether every message received has been handled: none waits, and no call is running."""
        return self._in_flight.idle and not any(consumer.source.pending for consumer in self)

    @property
    def problems(self) -> Iterator[tuple[str, str]]:
        """For each consumer that consumes nothing, although there is a connection: its name, and why as a sentence."""
        for consumer in self:
            if consumer.connection.state.is_connected and consumer.problem is not None:
                yield f"consumer {consumer.entry}", consumer.problem

    @property
    def unfinished(self) -> list[str]:
        """The subject of each message whose call is running, or that waits for one."""
        waiting = [subject for consumer in self for subject in consumer.source.pending_subjects]
        return self._in_flight.unfinished + waiting

    def hold(self) -> None:
        """Hand no more messages to the routes until :meth:`release` has been called as often as this."""
        for consumer in self:
            consumer.source.hold()

    def release(self) -> None:
        """Undo one :meth:`hold`. If the pending messages take long, some consumers follow in later turns."""
        self._release(deque(self))

    def _release(self, held: deque[Consumer]) -> None:
        turn_ends = self._in_flight.seconds() + self._turns.share()
        while held:
            held.popleft().source.release()
            if held and self._in_flight.seconds() >= turn_ends:
                self._turns.next(partial(self._release, held))
                return

    def drain(self) -> Deferred[None]:
        """
        End all subscriptions; the connections stay open.

        :return: fires when every message that was on its way has been received. It never fails.
        """
        return _all([consumer.drain() for consumer in self])

    def close(self) -> Deferred[None]:
        """
        Close all connections; what was acknowledged is with the server by then.

        :return: fires when they are closed.
        """
        return _all([consumer.close() for consumer in self])

    @property
    def is_cut_off(self) -> bool:
        """Whether :meth:`cut_off` has been called, and :meth:`resume` has not."""
        return self._in_flight.stopped

    def cut_off(self) -> None:
        """
        Start no more calls, and cancel those that are running. Messages that wait are kept for :meth:`resume`; those of
        a stream are given back to it.
        """
        self.hold()
        self._in_flight.stop()
        for consumer in self:
            consumer.hand_back()

    def start(self) -> None:
        """Consume from now on, and :meth:`resume`."""
        for consumer in self:
            consumer.start()
        self.resume()

    def resume(self) -> None:
        """Undo :meth:`cut_off`: messages that have waited since then are handled now."""
        if not self.is_cut_off:
            return
        self._in_flight.start()
        self.release()


def _all(deferreds: Sequence[Deferred[None]]) -> Deferred[None]:
    return gatherResults(deferreds).addCallback(lambda _: None)
