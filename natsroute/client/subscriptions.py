"""The subscriptions of a connection. They outlive its servers: each new server gets all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from natsroute.client.protocol import NatsProtocol
from natsroute.client.refusals import Refusals
from natsroute.client.state import ProtocolState
from natsroute.client.subscription import PendingLimits, Subscription
from natsroute.errors import PendingLimitError, PermissionsError, ServerError, SubscriptionLimitError
from natsroute.turns import SharedTurns
from natsroute.wire.subjects import check_pattern, check_queue_group


class Subscriptions:
    """
    Knows each subscription by its sid, and keeps the servers' view of them up to date.

    A server is subscribed at while there is a protocol: from :meth:`subscribe_at` to :meth:`protocol_ended`. There may
    be several at the same time, because a server that is left still delivers.

    :ivar clock: the reactor.
    :ivar turns: shares the turns of the reactor among subscriptions that have a backlog.

    :param delay: returns the seconds after which a refused subscription is asked for again, from how often it has been
        refused in a row.
    :param on_accepted: called when the server has accepted the last one of those that it had refused.
    """

    def __init__(
        self,
        clock: IReactorTime,
        delay: Callable[[int], float],
        on_accepted: Callable[[], object] = lambda: None,
        turns: SharedTurns | None = None,
    ) -> None:
        self.clock = clock
        self.turns = SharedTurns(clock) if turns is None else turns
        self._subscriptions: dict[int, Subscription] = {}
        self._last_sid = 0
        self._pausing: set[Subscription] = set()
        # The newest protocol is the last one. Each with the messages that a subscription had received before the server
        # began to count, by sid, if there were any.
        self._protocols: dict[NatsProtocol, dict[int, int]] = {}
        self._drained = False
        self._overlapped = False  # whether the newest protocol began while there was another one
        self._received = 0  # by subscriptions that have ended
        self._refusals = Refusals(clock, delay, ask=self._ask_again, on_accepted=on_accepted)

    @property
    def received(self) -> int:
        """Messages received, those of subscriptions that have ended included."""
        return self._received + sum(subscription.received for subscription in self._subscriptions.values())

    @property
    def paused(self) -> bool:
        """Whether reading pauses because messages wait for a busy receiver."""
        return bool(self._pausing)

    @property
    def refusal(self) -> ServerError | None:
        """Why the newest server does not send the messages of one of the subscriptions; None if it sends all."""
        return self._refusals.error

    @property
    def may_overlap(self) -> bool:
        """
        Whether two servers may have the subscriptions at once, and each message still counts once.

        Each of them has a queue group, which gets a message once however many members it has, or a receiver that takes
        a message twice. None ends after a number of messages, which each server would count for itself.
        """
        subscriptions = self._subscriptions.values()
        return bool(subscriptions) and all(
            (one.queue_group is not None or one.overlaps) and one.left is None for one in subscriptions
        )

    def add(
        self,
        subject: str,
        on_msg: Callable[[Any], Deferred[None] | None],
        queue_group: str | None,
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None],
        make: Callable[..., Subscription] = Subscription,
    ) -> Subscription:
        """
        Make a subscription. See :class:`~natsroute.client.subscription.Subscription` for the arguments.

        :param make: that class, or what makes an object of a subclass from the same arguments.
        :raises SubjectError: the subject or the queue group is malformed.
        """
        check_pattern(subject)
        if queue_group is not None:
            check_queue_group(queue_group)
        self._last_sid += 1
        subscription = make(self, self._last_sid, subject, queue_group, on_msg, limits, on_overflow)
        self._subscriptions[subscription.sid] = subscription
        if not self._drained:
            for protocol in self._taking(subscription):
                self._subscribe(protocol, subscription)
        return subscription

    def _taking(self, subscription: Subscription) -> list[NatsProtocol]:
        """
        The servers that get a new subscription: those that are not being left. A login may fail, so that of a queue
        group does not wait for it; any other one begins at the newest server.
        """
        staying = [protocol for protocol in self._protocols if protocol.state is not ProtocolState.LAME_DUCK]
        return staying if subscription.queue_group is not None else staying[-1:]

    # -- with each server ---------------------------------------------------------------------------------------------

    def subscribe_at(self, protocol: NatsProtocol) -> None:
        """Make all subscriptions at a server, unless they are drained; later ones are made there too."""
        self._refusals.clear()
        self._overlapped = bool(self._protocols)
        self._protocols[protocol] = {}
        if not self._drained:
            for subscription in self._subscriptions.values():
                self._subscribe(protocol, subscription)

    def protocol_ended(self, protocol: NatsProtocol) -> None:
        """A server is gone: the next one may allow what it refused."""
        if self._newest is protocol:
            self._refusals.clear()
        self._protocols.pop(protocol, None)

    def refuse(self, protocol: NatsProtocol, error: ServerError) -> None:
        """Mark the subscriptions that a server refused, unless it is being left. They are asked for again."""
        if self._drained or protocol is not self._newest:
            return
        for subscription in self._refused_by(error):
            self._refusals.add(subscription, error)

    def drain(self) -> Deferred[None]:
        """
        End the subscriptions at the servers, and do not subscribe at the next ones.

        :return: fires when no more messages can come: all that were on their way have arrived, or their server is lost.
            It never fails.
        """
        # The PONG of a second drain comes behind that of the first one.
        end = NatsProtocol.ping if self._drained else NatsProtocol.drain
        self._drained = True
        self._refusals.clear()
        drained = [end(protocol).addErrback(lambda lost: None) for protocol in self._protocols]
        return gatherResults(drained).addCallback(lambda _: None)

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
            for protocol, before in self._protocols.items():
                # A server counts from its own SUB, and we count from the first server.
                protocol.unsub(subscription.sid, max_messages - before.get(subscription.sid, 0))
        else:
            self._drop(subscription)
            for protocol in self._protocols:
                protocol.unsub(subscription.sid)

    def forget(self, subscription: Subscription) -> None:
        """Drop a subscription that has had its last message."""
        self._drop(subscription)
        if self._overlapped:  # no server has counted the messages of the other one, and it would send more
            for protocol in self._protocols:
                protocol.unsub(subscription.sid)

    def _drop(self, subscription: Subscription) -> None:
        if self._subscriptions.pop(subscription.sid, None) is not None:
            self._received += subscription.received
        for protocol, before in self._protocols.items():
            protocol.forget(subscription.sid)
            before.pop(subscription.sid, None)
        self._refusals.forget(subscription)
        self.resume(subscription)

    def pause(self, subscription: Subscription) -> None:
        """Pause reading until each subscription that asked for it resumes."""
        self._pausing.add(subscription)
        for protocol in self._protocols:
            protocol.pause()

    def resume(self, subscription: Subscription) -> None:
        """Read again, unless another subscription is still paused."""
        if subscription in self._pausing:
            self._pausing.discard(subscription)
            if not self._pausing:
                for protocol in self._protocols:
                    protocol.resume()

    # -- what they share ----------------------------------------------------------------------------------------------

    @property
    def _newest(self) -> NatsProtocol | None:
        return next(reversed(self._protocols), None)

    def _subscribe(self, protocol: NatsProtocol, subscription: Subscription) -> None:
        protocol.sub(subscription.subject, subscription.sid, subscription.deliver, subscription.queue_group)
        if subscription.received:
            self._protocols[protocol][subscription.sid] = subscription.received
        if subscription.left is not None:
            protocol.unsub(subscription.sid, subscription.left)

    def _ask_again(self, refused: Iterable[Subscription]) -> Deferred[None]:
        protocol = self._newest
        assert protocol is not None  # without a server, nothing is refused
        for subscription in refused:
            self._subscribe(protocol, subscription)
        return protocol.ping()

    def _refused_by(self, error: ServerError) -> list[Subscription]:
        if isinstance(error, PermissionsError) and error.operation == "subscription":
            refused = error.subject, error.queue_group
            return [one for one in self._subscriptions.values() if (one.subject, one.queue_group) == refused]
        if isinstance(error, SubscriptionLimitError):
            # It does not name the subscription. It answers a SUB, and those above the limit are the last ones.
            newest = self._refusals.newest_asked
            return [newest] if newest is not None else list(self._subscriptions.values())[-1:]
        return []
