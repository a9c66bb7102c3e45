"""
An ordered consumer: reads a stream from a place on, in order and without gaps, and acknowledges nothing (NATS ADR-17).

It pulls from an ephemeral consumer in the memory of one server. When that is lost, or a message is missing, another one
is created that begins behind the last message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from natsroute.client.connection import Connection
from natsroute.client.inbox import DEFAULT_INBOX_PREFIX
from natsroute.client.server_pool import Backoff
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.client.subscription import PendingLimits
from natsroute.errors import NatsrouteError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.catching_up import CatchingUp
from natsroute.jetstream.consuming.ephemeral_consumers import RETRY, EphemeralConsumers, Start
from natsroute.jetstream.consuming.heartbeats import Heartbeats
from natsroute.jetstream.consuming.ordered_subscription import OrderedSubscription
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.consuming.pull_status import StatusKind, pull_status
from natsroute.jetstream.consuming.pulls import Pulls
from natsroute.jetstream.errors import JetStreamError
from natsroute.jetstream.management.consumers import ConsumerInfo, consumer_info
from natsroute.wire.ack_subject import parse_ack_subject
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Msg

#: The largest message that a server can have, with headers.
_MAX_BYTES = 64 * 1024 * 1024 + 64 * 1024
#: Seconds that the status of a pull may be late.
_STATUS_DELAY = 5.0
#: The statuses after which another pull is sent. After others, another consumer is created.
_ENDS_OF_PULLS = (StatusKind.EXPIRED, StatusKind.NO_MESSAGES, StatusKind.FILLED, StatusKind.BYTES)


class OrderedConsumer:
    """
    Hands the messages of a stream to a receiver, each once and in the order of the stream. All methods run in the
    reactor thread.

    :param connection: any connection; it may have other subscriptions. The class of its messages is what ``on_msg``
        gets. Their ``reply_to`` is an ack subject, from which :func:`~natsroute.wire.ack_subject.parse_ack_subject`
        reads sequence and time; nothing is to be sent there.
    :param api: creates the consumers, over any connection.
    :param on_msg: called with each message, one after the other, as
        :class:`~natsroute.client.subscription.Subscription` says.
    :param on_caught_up: called once, when all messages have been handed over that the stream had at the beginning; at
        once if it had none.
    :param on_problem: called with the reason when nothing can be read, and with None when that is over. Both are in the
        log already.
    :param filter_subjects: only messages of these subjects; empty: all.
    :param start: where to begin. With ``last_per_subject``, a consumer that is created again behind the last message
        brings everything from there on.
    :param headers_only: messages come without their payloads.
    :param options: what to ask for with each pull.
    :param limits: how many messages may wait for the receiver. The policy is always ``pause``.
    :param retry: how long to wait before another consumer is created, if the last ones brought nothing.

    :ivar stream: the name of the stream.
    :ivar received: messages received so far.
    :ivar num_pending: messages of the stream that are still to come, as the server last said; None before that.
    """

    def __init__(
        self,
        connection: Connection,
        api: JetStreamApi,
        stream: str,
        *,
        clock: IReactorTime,
        on_msg: Callable[[Any], Deferred[None] | None],
        on_caught_up: Callable[[], object] = lambda: None,
        on_problem: Callable[[JetStreamError | None], object] = lambda problem: None,
        filter_subjects: Sequence[str] = (),
        start: Start = Start(),
        headers_only: bool = False,
        options: PullOptions = PullOptions(),
        limits: PendingLimits = PendingLimits(),
        retry: Backoff = RETRY,
        inbox_prefix: str = DEFAULT_INBOX_PREFIX,
    ) -> None:
        self.stream = stream
        self.received = 0
        self.num_pending: int | None = None
        self._connection = connection
        self._stop_observing: Callable[[], None] = lambda: None
        self._api = api
        self._clock = clock
        self._on_msg = on_msg
        self._options = options
        self._limits = attrs.evolve(limits, policy="pause")
        self._inbox = f"{inbox_prefix}.{token_hex(11)}."
        self._subscription: OrderedSubscription | None = None  # after a stop, the last one
        self._is_reading = False
        self._holds = 0
        self._catching_up = CatchingUp(on_caught_up)
        self._consumers = EphemeralConsumers(
            api,
            stream,
            clock=clock,
            start=start,
            on_created=self._use,
            on_problem=on_problem,
            retry=retry,
            filter_subjects=tuple(filter_subjects),
            headers_only=headers_only,
        )
        self._consumer_sequence = 0  # of the last message of this consumer
        self._pulls = Pulls(options.expires + _STATUS_DELAY)
        self._ask_above = -1  # messages received
        self._heartbeats = Heartbeats(clock, lambda: self._options.heartbeat, self._signs, self._tick)
        self._statuses = 0

    @property
    def last_sequence(self) -> int:
        """The sequence of the last message that arrived; 0 before the first."""
        return self._consumers.last_sequence

    @property
    def caught_up(self) -> bool:
        """Whether ``on_caught_up`` has been called."""
        return self._catching_up.is_done

    @property
    def created(self) -> int:
        """Consumers that were created so far."""
        return self._consumers.created

    @property
    def problem(self) -> JetStreamError | None:
        """Why nothing can be read, or None."""
        return self._consumers.problem

    # -- as a subscription has them -----------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Messages that wait for the receiver."""
        return 0 if self._subscription is None else self._subscription.pending

    @property
    def pending_subjects(self) -> list[str]:
        """The subject of each pending message."""
        return [] if self._subscription is None else self._subscription.pending_subjects

    @property
    def dropped(self) -> int:
        """Messages that were dropped because too many were pending: reading pauses instead."""
        return 0

    def hand_to(self, on_msg: Callable[[Any], Deferred[None] | None], *ways: object, **more: object) -> None:
        """
        Call this with each message from now on. There are no shorter ways: it has to be known what became of a message.
        """
        self._on_msg = on_msg

    def hold(self) -> None:
        """Hand over no more messages, until :meth:`release` has been called as often as this."""
        self._holds += 1
        if self._subscription is not None:
            self._subscription.hold()

    def release(self) -> None:
        """Undo one :meth:`hold`."""
        self._holds -= 1
        if self._subscription is not None:
            self._subscription.release()

    # -- its life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Read from now on, whenever there is a connection. After a :meth:`stop`, go on behind the last message."""
        if self._is_reading:
            return
        self._is_reading = True
        self._read_pending_again()
        subscription = self._connection.subscribe(
            f"{self._inbox}*",
            self._hand_over,
            limits=self._limits,
            make=lambda *about: OrderedSubscription(*about, is_next=self._is_next, on_ready=self._ask),
        )
        assert isinstance(subscription, OrderedSubscription)
        self._subscription = subscription
        for _ in range(self._holds):
            subscription.hold()
        self._stop_observing = self._connection.observe(self._on_change)
        self._heartbeats.start()
        if self._connection.state.is_usable:
            self._consumers.begin()

    def stop(self) -> None:
        """Read no more. Messages that wait for the receiver are still handed over."""
        if not self._is_reading:
            return
        self._is_reading = False
        self._lose()
        self._heartbeats.stop()
        self._stop_observing()
        if self._subscription is not None:
            self._subscription.unsubscribe()

    def _read_pending_again(self) -> None:
        """Nobody would release the messages that wait in the subscription of before the stop."""
        pending = [] if self._subscription is None else self._subscription.take_pending()
        delivery = parse_ack_subject(pending[0].reply_to or b"") if pending else None
        if delivery is not None:
            self.received -= len(pending)
            self._pulls.clear(self.received)
            self._consumers.rewind(delivery.sequence)

    def _on_change(self, change: Change) -> None:
        if not self._is_reading or change.event is ConnectionEvent.CONNECT_FAILED:
            return
        if change.event in (ConnectionEvent.CONNECTED, ConnectionEvent.DISCONNECTED, ConnectionEvent.CLOSED):
            self._lose()  # CONNECTED may be at another server, without a DISCONNECTED
        if self._connection.state.is_usable:
            self._consumers.begin()

    def _lose(self) -> None:
        """Take nothing from the consumer any more."""
        self._pulls.clear(self.received)
        self._consumers.give_up(delete=self._connection.state.is_usable)

    def _begin_again(self, reason: str) -> None:
        self._pulls.clear(self.received)
        self._consumers.begin_again(reason)

    def _use(self, info: ConsumerInfo) -> None:
        self._consumer_sequence = 0
        self._learn(info)
        self._heartbeats.reset()
        self._ask_above = -1
        self._ask()

    def _learn(self, info: ConsumerInfo) -> None:
        self.num_pending = info.num_pending
        self._catching_up.learn(info.num_pending, self.last_sequence)

    # -- messages -----------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Send a pull if half of the batch is used up."""
        if self.received <= self._ask_above or not self._consumers.name:
            return
        options = self._options
        batch = options.batch - max(0, self._pulls.asked - self.received) - self.pending
        if batch >= (options.batch + 1) // 2:
            pull = self._pulls.add(batch, options.max_bytes, self._clock.seconds(), self.received)
            subject = f"{self._api.prefix}.CONSUMER.MSG.NEXT.{self.stream}.{self._consumers.name}"
            self._connection.write(encode_pub(subject, options.request(batch), f"{self._inbox}{pull.number}"), 1)
        if not self.pending:
            self._ask_above = self._pulls.asked - options.batch // 2 - 1

    def _is_next(self, msg: Msg) -> bool:
        """Whether a message is the next one. Statuses, and messages of consumers that were given up, are not."""
        if msg.reply_to is None:
            self._on_status(msg)
            return False
        delivery, consumers = parse_ack_subject(msg.reply_to), self._consumers
        if delivery is None or not consumers.name or delivery.consumer != consumers.name:
            return False
        if delivery.consumer_sequence != self._consumer_sequence + 1:
            self._begin_again(f"message {self._consumer_sequence + 1} of the consumer is missing")
            return False
        self._consumer_sequence += 1
        self.received += 1
        self.num_pending = delivery.pending
        consumers.arrived(delivery.sequence)
        if not self._catching_up.is_done:
            self._catching_up.arrived(delivery.sequence, delivery.pending)
        return True

    def _hand_over(self, msg: Msg) -> Deferred[None] | None:
        if self._catching_up.is_done:
            return self._on_msg(msg)
        try:
            busy = self._on_msg(msg)
        except BaseException:
            self._handed_over(msg)
            raise
        if busy is None:
            self._handed_over(msg)
        else:
            busy.addBoth(self._was_handed_over, msg)
        return busy

    def _was_handed_over(self, result: Any, msg: Msg) -> Any:
        self._handed_over(msg)
        return result

    def _handed_over(self, msg: Msg) -> None:
        delivery = parse_ack_subject(msg.reply_to or b"")
        if delivery is not None:
            self._catching_up.handed_over(delivery.sequence)

    # -- what the server says instead of messages ---------------------------------------------------------------------

    def _on_status(self, msg: Msg) -> None:
        self._statuses += 1
        token = msg.address.subject[len(self._inbox) :]
        number = int(token) if token.isdecimal() and len(token) < 20 else 0
        if not self._consumers.name or not self._pulls.is_current(number):
            return
        status = pull_status(msg)
        if status.kind is StatusKind.HEARTBEAT:
            self._consumers.works()
            if not self._catching_up.is_done:
                self._look_at_consumer()
        elif status.kind in _ENDS_OF_PULLS:
            self._consumers.works()
            self._pulls.ended(number, status.messages, self.received)
            if status.kind is StatusKind.BYTES:
                self._options = attrs.evolve(self._options, max_bytes=_MAX_BYTES)
            self._ask_above = -1
            self._ask()
        else:
            self._begin_again(status.text)

    def _look_at_consumer(self) -> None:
        """The messages that are missing may have been removed from the stream meanwhile."""
        looking = Deferred.fromCoroutine(consumer_info(self._api, self.stream, self._consumers.name))
        looking.addCallbacks(self._looked, lambda failure: failure.trap(NatsrouteError))

    def _looked(self, info: ConsumerInfo) -> None:
        if info.name == self._consumers.name and info.delivered_count == self._consumer_sequence:
            self._learn(info)

    def _signs(self) -> int:
        """A number that changes with everything that the server sends, or while it has no reason to send anything."""
        waits = self._consumers.name and self._pulls.outstanding(self.received)
        if not waits or self._subscription is None or not self._subscription.reads:
            self._statuses += 1
        return self._statuses + self.received

    def _tick(self, is_silent: bool) -> None:
        if is_silent and self._consumers.name:
            self._begin_again("heartbeats are missing")
        else:
            self._pulls.expire(self._clock.seconds(), self.received)
            self._ask_above = -1
            self._ask()
