"""The subscriptions of a connection. They outlive its servers: each new server gets all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.client.protocol import NatsProtocol
from natsroute.client.subscription import PendingLimits, Subscription
from natsroute.errors import PendingLimitError, PermissionsError
from natsroute.wire.subjects import check_pattern, check_queue_group


class Subscriptions:
    """
    Knows each subscription by its sid, and keeps the server's view of them up to date.

    A server is subscribed at while there is a protocol: from :meth:`subscribe_at` to :meth:`protocol_ended`.
    """

    def __init__(self) -> None:
        self._subscriptions: dict[int, Subscription] = {}
        self._last_sid = 0
        self._pausing: set[Subscription] = set()
        self._protocol: NatsProtocol | None = None
        self._drained = False
        self._received = 0  # by subscriptions that have ended

    @property
    def received(self) -> int:
        """Messages received, those of subscriptions that have ended included."""
        return self._received + sum(subscription.received for subscription in self._subscriptions.values())

    @property
    def paused(self) -> bool:
        """Whether reading pauses because messages wait for a busy receiver."""
        return bool(self._pausing)

    def add(
        self,
        subject: str,
        on_msg: Callable[[Any], Deferred[None] | None],
        queue_group: str | None,
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None],
    ) -> Subscription:
        """
        Make a subscription. See :class:`~natsroute.client.subscription.Subscription` for the arguments.

        :raises SubjectError: the subject or the queue group is malformed.
        """
        check_pattern(subject)
        if queue_group is not None:
            check_queue_group(queue_group)
        self._last_sid += 1
        subscription = Subscription(self, self._last_sid, subject, queue_group, on_msg, limits, on_overflow)
        self._subscriptions[subscription.sid] = subscription
        if self._protocol is not None:
            self._protocol.sub(subject, subscription.sid, subscription.deliver, queue_group)
        return subscription

    # -- with each server ---------------------------------------------------------------------------------------------

    def subscribe_at(self, protocol: NatsProtocol) -> None:
        """Make all subscriptions at a server, unless they are drained; later ones are made there too."""
        self._protocol = protocol
        if self._drained:
            return
        for subscription in self._subscriptions.values():
            protocol.sub(subscription.subject, subscription.sid, subscription.deliver, subscription.queue_group)
            if subscription.left is not None:
                protocol.unsub(subscription.sid, subscription.left)

    def protocol_ended(self, protocol: NatsProtocol) -> None:
        """A server is gone: the next one, or new permissions at the same one, may allow what it refused."""
        if self._protocol is protocol:
            self._protocol = None
        for subscription in self._subscriptions.values():
            subscription.refused = None

    def refuse(self, error: PermissionsError) -> None:
        """Mark the subscriptions that a server refused."""
        if error.operation != "subscription":
            return
        for subscription in self._subscriptions.values():
            if (subscription.subject, subscription.queue_group) == (error.subject, error.queue_group):
                subscription.refused = error

    def drain(self) -> None:
        """Do not subscribe at the next servers."""
        self._drained = True

    def restart(self) -> None:
        """Undo :meth:`drain`."""
        self._drained = False

    # -- for the subscriptions ----------------------------------------------------------------------------------------

    def unsubscribe(self, subscription: Subscription, max_messages: int | None) -> None:
        """End a subscription, now or after ``max_messages`` messages in all."""
        if subscription.sid not in self._subscriptions:
            return
        if max_messages is not None and max_messages > subscription.received:
            subscription.end_at(max_messages)
        else:
            max_messages = None
            self.forget(subscription)
        if self._protocol is not None:
            self._protocol.unsub(subscription.sid, max_messages)

    def forget(self, subscription: Subscription) -> None:
        """Drop a subscription that has had its last message."""
        if self._subscriptions.pop(subscription.sid, None) is not None:
            self._received += subscription.received
        if self._protocol is not None:
            self._protocol.forget(subscription.sid)
        self.resume(subscription)

    def pause(self, subscription: Subscription) -> None:
        """Pause reading until each subscription that asked for it resumes."""
        self._pausing.add(subscription)
        if self._protocol is not None:
            self._protocol.pause()

    def resume(self, subscription: Subscription) -> None:
        """Read again, unless another subscription is still paused."""
        if subscription in self._pausing:
            self._pausing.discard(subscription)
            if self._protocol is not None and not self._pausing:
                self._protocol.resume()
