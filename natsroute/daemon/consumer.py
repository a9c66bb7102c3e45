"""One ``subject_queue_group`` at work, and all of them together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import overload

import attrs
from twisted.internet.defer import Deferred, gatherResults

from natsroute.client.connection import Connection
from natsroute.client.subscription import PendingLimits, Subscription
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import PendingLimitError
from natsroute.ledger import ConsumerAccount, RouteCounters
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import Runner
from natsroute.turns import SharedTurns


@attrs.frozen
class Consumer:
    """
    One ``subject_queue_group`` at work.

    :ivar entry: the subject and the queue group.
    :ivar connection: its own connection.
    :ivar runner: runs the event routes of its messages.
    :ivar subscription: hands the messages to the runner.
    """

    entry: QueueEntry
    connection: Connection
    runner: Runner
    subscription: Subscription

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
        runner.on_receiver = subscription.hand_to
        return cls(entry, connection, runner, subscription)

    def account(self) -> ConsumerAccount:
        """What became of its messages so far."""
        unclaimed = self.connection.status().unclaimed
        return ConsumerAccount(
            name=str(self.entry),
            received=self.subscription.received + unclaimed,
            pending=self.subscription.pending,
            overflowed=self.subscription.dropped,
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
        return self._in_flight.idle and not any(consumer.subscription.pending for consumer in self)

    @property
    def unfinished(self) -> list[str]:
        """The subject of each message whose call is running, or that waits for one."""
        waiting = [subject for consumer in self for subject in consumer.subscription.pending_subjects]
        return self._in_flight.unfinished + waiting

    def hold(self) -> None:
        """Hand no more messages to the routes until :meth:`release` has been called as often as this."""
        for consumer in self:
            consumer.subscription.hold()

    def release(self) -> None:
        """Undo one :meth:`hold`. If the pending messages take long, some consumers follow in later turns."""
        self._release(deque(self))

    def _release(self, held: deque[Consumer]) -> None:
        turn_ends = self._in_flight.seconds() + self._turns.share()
        while held:
            held.popleft().subscription.release()
            if held and self._in_flight.seconds() >= turn_ends:
                self._turns.next(partial(self._release, held))
                return

    def drain(self) -> Deferred[None]:
        """
        End all subscriptions; the connections stay open.

        :return: fires when every message that was on its way has been received. It never fails.
        """
        return _all([consumer.connection.drain() for consumer in self])

    def close(self) -> Deferred[None]:
        """
        Close all connections.

        :return: fires when they are closed.
        """
        return _all([consumer.connection.stopService() for consumer in self])

    @property
    def is_cut_off(self) -> bool:
        """Whether :meth:`cut_off` has been called, and :meth:`resume` has not."""
        return self._in_flight.stopped

    def cut_off(self) -> None:
        """Start no more calls, and cancel those that are running. Messages that wait are kept for :meth:`resume`."""
        self.hold()
        self._in_flight.stop()

    def resume(self) -> None:
        """Undo :meth:`cut_off`: messages that have waited since then are handled now."""
        if not self.is_cut_off:
            return
        self._in_flight.start()
        self.release()


def _all(deferreds: Sequence[Deferred[None]]) -> Deferred[None]:
    return gatherResults(deferreds).addCallback(lambda _: None)
