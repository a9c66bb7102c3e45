"""
A pull consumer: asks a durable consumer of a stream for messages, again and again, and hands them to a receiver.

The consumer must exist. If it does not, or if it is deleted, it is looked for until it is there. Consuming never ends
because a connection did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.connection import Connection
from natsroute.client.inbox import DEFAULT_INBOX_PREFIX
from natsroute.client.server_pool import Backoff
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.client.subscription import PendingLimits
from natsroute.errors import PendingLimitError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.acks import Acks
from natsroute.jetstream.consuming.consumer_lookup import RETRY, ConsumerLookup, Prepare, nothing_to_prepare
from natsroute.jetstream.consuming.heartbeats import MAX_MISSED, Heartbeats
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.consuming.pull_subscription import PinnedSubscription, PullSubscription
from natsroute.jetstream.consuming.puller import Puller
from natsroute.jetstream.errors import JetStreamError
from natsroute.jetstream.management.consumers import ConsumerInfo
from natsroute.log import Logger
from natsroute.wire.ack_subject import parse_ack_subject
from natsroute.wire.encoder import encode_sub, encode_unsub

#: With a queue group, two servers may have the subscription while one of them shuts down, and a message comes once.
_QUEUE_GROUP = "natsroute"
#: Seconds between two looks at the messages that wait, if the consumer says nothing else.
_PROGRESS_INTERVAL = 5.0


@attrs.frozen
class PullStatistics:
    """
    What a pull consumer has counted.

    :ivar pulls: pulls sent.
    :ivar empty_answers: pulls that ended before they were filled, because there were no more messages.
    :ivar missed_heartbeats: how often pulls were taken for lost because heartbeats were missing.
    :ivar redelivered: messages that had been delivered before.
    :ivar dropped_acks: acknowledgements dropped because too many waited for a connection.
    """

    pulls: int
    empty_answers: int
    missed_heartbeats: int
    redelivered: int
    dropped_acks: int


class PullConsumer:
    """
    Consumes from a durable pull consumer. All methods run in the reactor thread, and every Deferred fires there.

    At most ``options.batch`` messages are asked for or wait for the receiver at any time. When half of them have come,
    the next pull is sent, so that the server always has one. Messages that wait for the receiver are reported as in
    progress, so that the server does not deliver them again meanwhile.

    :param connection: a connection of its own. The class of its messages is what ``on_msg`` gets.
    :param api: asks for the consumer, over any connection.
    :param acks: writes acknowledgements over ``connection``.
    :param on_msg: called with each message, one after the other, as
        :class:`~natsroute.client.subscription.Subscription` says. Its ``reply_to`` is its ack subject.
    :param options: what to ask for. What the consumer does not allow is reduced, with a warning in the log.
    :param limits: see :class:`~natsroute.client.subscription.Subscription`, as for ``on_overflow``. No more messages
        are asked for than may wait, and half of the bytes.
    :param on_problem: called with the reason when nothing can be consumed, and with None when that is over. Both are in
        the log already.
    :param prepare: creates or checks the consumer before it is looked for. What it raises is a problem.
    :param retry: how long to wait before the consumer is looked for again.
    :param inbox_prefix: what the reply subjects begin with.

    :ivar stream: the stream.
    :ivar durable: the name of the consumer.
    """

    log = Logger()

    def __init__(
        self,
        connection: Connection,
        api: JetStreamApi,
        acks: Acks,
        stream: str,
        durable: str,
        on_msg: Callable[[Any], Deferred[None] | None],
        options: PullOptions = PullOptions(),
        *,
        clock: IReactorTime,
        limits: PendingLimits = PendingLimits(),
        on_overflow: Callable[[PendingLimitError], None] = lambda error: None,
        on_problem: Callable[[JetStreamError | None], object] = lambda problem: None,
        prepare: Prepare = nothing_to_prepare,
        retry: Backoff = RETRY,
        inbox_prefix: str = DEFAULT_INBOX_PREFIX,
    ) -> None:
        self.stream = stream
        self.durable = durable
        self._connection = connection
        self._acks = acks
        self._clock = clock
        self._started = False
        self._progress: IDelayedCall | None = None
        self._info_since = -1  # messages received when the newest info came
        self._next_refresh = 0.0
        self._excuses = 0
        self._warned_at = -1
        self._lookup = ConsumerLookup(
            api,
            stream,
            durable,
            clock=clock,
            retry=retry,
            on_found=self._found,
            on_info=self._on_info,
            on_missing=self._on_missing,
            on_problem=on_problem,
            prepare=prepare,
        )
        may_wait = max(1, limits.messages), max(1, limits.bytes // 2)
        self._puller = puller = Puller(
            connection,
            attrs.evolve(options, batch=min(options.batch, may_wait[0]), max_bytes=min(options.max_bytes, may_wait[1])),
            self._lookup,
            clock=clock,
            subject=f"{api.prefix}.CONSUMER.MSG.NEXT.{stream}.{durable}",
            inbox_prefix=inbox_prefix,
        )
        make = PinnedSubscription if options.group else PullSubscription
        subscription = connection.subscribe(
            f"{puller.inbox}*",
            on_msg,
            _QUEUE_GROUP,
            limits=limits,
            on_overflow=on_overflow,
            make=lambda *about: make(*about, on_status=puller.on_status, on_low=puller.ask),
        )
        assert isinstance(subscription, PullSubscription)
        if isinstance(subscription, PinnedSubscription):
            subscription.on_pin = puller.pinned
        self._subscription = puller.subscription = subscription
        self._heartbeats = Heartbeats(clock, lambda: puller.limits.options.heartbeat, self._signs, self._tick)
        connection.observe(self._on_change)

    # -- as a subscription has them -----------------------------------------------------------------------------------

    @property
    def received(self) -> int:
        """Messages received; statuses do not count."""
        return self._subscription.received

    @property
    def dropped(self) -> int:
        """Messages that were dropped because too many were pending. The server delivers them again."""
        return self._subscription.dropped

    @property
    def pending(self) -> int:
        """Messages that wait for the receiver."""
        return self._subscription.pending

    @property
    def pending_subjects(self) -> list[str]:
        """The subject of each pending message."""
        return self._subscription.pending_subjects

    def take_pending(self) -> list[Any]:
        """Take out the messages that wait for the receiver: it will not get them. They are not acknowledged."""
        return self._subscription.take_pending()

    @property
    def hand_to(self) -> Callable[..., None]:
        """See :meth:`natsroute.client.subscription.Subscription.hand_to`."""
        return self._subscription.hand_to

    def hold(self) -> None:
        """See :meth:`natsroute.client.subscription.Subscription.hold`."""
        self._subscription.hold()

    def release(self) -> None:
        """See :meth:`natsroute.client.subscription.Subscription.release`."""
        self._subscription.release()

    # -- what is known of the consumer --------------------------------------------------------------------------------

    @property
    def info(self) -> ConsumerInfo | None:
        """What the server last said of the consumer; None before it has."""
        return self._lookup.info

    @property
    def problem(self) -> JetStreamError | None:
        """Why nothing is consumed, or None. That another client has the pin of the group is no problem."""
        return self._lookup.problem

    @property
    def num_pending(self) -> int | None:
        """Messages of the stream that the consumer has not delivered yet, as the server last said; None if never."""
        if self._subscription.received > self._info_since and self._subscription.last is not None:
            delivery = parse_ack_subject(self._subscription.last)
            if delivery is not None:
                return delivery.pending
        return None if self.info is None else self.info.num_pending

    @property
    def statistics(self) -> PullStatistics:
        """What was counted so far."""
        return PullStatistics(
            self._puller.sent,
            self._puller.empty_answers,
            self._heartbeats.missed,
            self._subscription.redelivered,
            self._acks.dropped,
        )

    # -- its life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Consume from now on, whenever there is a connection. It may be started again after the end."""
        self._started = True
        self._heartbeats.start()
        self._report_progress()
        if self._connection.state.is_connected:
            # The server has this subscription, unless it was ended there; a second time does no harm.
            self._connection.write(encode_sub(self._subscription.subject, self._subscription.sid, _QUEUE_GROUP))
            self._connected()

    def drain(self) -> Deferred[None]:
        """
        Ask for no more, and take what is on its way. The connection stays, for acknowledgements.

        :return: fires when no more messages can come. It never fails. Do not cancel it.
        """
        if not self._started:
            return succeed(None)
        self._end()
        # Not unsubscribe(), which would drop the messages that are on their way.
        ended = self._connection.write_and_ping(encode_unsub(self._subscription.sid))
        return ended.addErrback(lambda lost: None)

    def stop(self) -> None:
        """Ask for no more, and do not report any more that messages wait. What is on its way may still come."""
        if self._started:
            self._end()
            self._connection.write(encode_unsub(self._subscription.sid))
        if self._progress is not None:
            self._progress.cancel()
            self._progress = None

    def _end(self) -> None:
        self._started = False
        self._heartbeats.stop()
        self._lookup.cancel()
        self._puller.stop()

    def _on_change(self, change: Change) -> None:
        if not self._started or change.event is ConnectionEvent.CONNECT_FAILED:
            return
        if change.event is ConnectionEvent.CONNECTED:
            self._connected()
        else:
            self._lookup.cancel()
            self._puller.stop()

    def _connected(self) -> None:
        self._puller.stop()
        self._lookup.failures = 0
        if self.info is None or self.problem is not None:
            self._lookup.begin()
        else:
            self._found()
            self._lookup.refresh()  # it may have changed meanwhile

    def _found(self) -> None:
        self._heartbeats.reset()
        self._puller.start()

    def _on_missing(self) -> None:
        self._puller.stop()

    def _on_info(self, info: ConsumerInfo) -> None:
        self._info_since = self._subscription.received
        self._next_refresh = self._clock.seconds() + self._puller.limits.options.expires
        self._puller.limits.adapt(info)
        if self._started:
            self._schedule_progress()

    # -- timers -------------------------------------------------------------------------------------------------------

    def _signs(self) -> int:
        """A number that changes with everything that the server sends, or while it sends nothing for a reason."""
        if not self._subscription.reads or not self._puller.outstanding:
            self._excuses += 1
        return self._excuses + self._heard

    @property
    def _heard(self) -> int:
        """Messages and statuses received."""
        return self._puller.statuses + self._subscription.received

    def _tick(self, is_silent: bool) -> None:
        puller = self._puller
        if not puller.active:
            return
        now = self._clock.seconds()
        if is_silent:
            self._warn_of_silence()
            puller.stop()
            self._found()
        puller.expire()
        if is_silent or now >= self._next_refresh:
            self._next_refresh = now + puller.limits.options.expires
            self._lookup.refresh()

    def _warn_of_silence(self) -> None:
        """Once for each silence, however long it is."""
        if self._heard != self._warned_at:
            self._warned_at = self._heard
            self.log.warn(
                "{count} heartbeats of {stream}:{consumer} are missing: natsroute pulls anew until the server answers. "
                "If that goes on, look at the server, and at max_waiting of the consumer",
                count=MAX_MISSED,
                stream=self.stream,
                consumer=self.durable,
            )

    def _report_progress(self) -> None:
        """Pending messages are not handled yet, and must not be delivered again meanwhile."""
        if self._shortest_wait:
            for reply_to in self._subscription.pending_replies:
                self._acks.in_progress(reply_to)
        self._schedule_progress()

    @property
    def _shortest_wait(self) -> float:
        """
        Seconds that a message may go without acknowledgement before it is delivered again; 0 if it never is, or if that
        is not known yet.
        """
        if self.info is None or self.info.config.ack_policy == "none":
            return 0.0
        waits = (self.info.config.ack_wait or 0.0, *(self.info.config.backoff or ()))
        return float(min(waits))

    def _schedule_progress(self) -> None:
        wait = self._shortest_wait
        interval = max(0.1, wait / 3) if wait else _PROGRESS_INTERVAL
        if self._progress is not None and self._progress.active():
            interval = min(interval, max(0.0, self._progress.getTime() - self._clock.seconds()))
            self._progress.cancel()
        self._progress = self._clock.callLater(interval, self._report_progress)
