"""Keeps pulls at the server, and does what the server's statuses ask for."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from twisted.internet.interfaces import IReactorTime

from natsroute.client.connection import Connection
from natsroute.jetstream.consuming.consumer_lookup import ConsumerLookup
from natsroute.jetstream.consuming.pull_limits import PullLimits, remedy_for_bad_request
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.consuming.pull_status import PullStatus, StatusKind, pull_status
from natsroute.jetstream.consuming.pull_subscription import PullSubscription
from natsroute.jetstream.consuming.pulls import Pull, Pulls
from natsroute.jetstream.errors import JetStreamError
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Msg

#: Seconds that the status of a pull may be late.
_STATUS_DELAY = 5.0
#: A pull that ends unfilled so soon was refused: the next one waits.
_ENDED_AT_ONCE = 1.0


class Puller:
    """
    Asks for messages while it is told to, so that at most ``options.batch`` are asked for or wait for the receiver.

    :param subject: the subject that pulls are sent to.
    :param inbox_prefix: what the reply subjects begin with.
    :param lookup: looks the consumer up when the server says that it is gone.

    :ivar inbox: what the reply subjects begin with, up to the number of the pull.
    :ivar limits: what the next pull asks for.
    :ivar active: whether there should be pulls.
    :ivar empty_answers: pulls that ended before they were filled, because there were no more messages.
    :ivar statuses: statuses received.
    """

    def __init__(
        self,
        connection: Connection,
        options: PullOptions,
        lookup: ConsumerLookup,
        *,
        clock: IReactorTime,
        subject: str,
        inbox_prefix: str,
    ) -> None:
        self.inbox = f"{inbox_prefix}.{token_hex(11)}."
        self.limits = PullLimits(options, lookup.name)
        self.active = False
        self.empty_answers = self.statuses = 0
        self._connection = connection
        self._lookup = lookup
        self._clock = clock
        self._subject = subject
        self._pulls = Pulls(options.expires + _STATUS_DELAY)
        self._pin = ""
        self._pinned_after = 0  # the last pull that was sent before the pin changed
        self._received_before = 0

    subscription: PullSubscription  # what receives the messages

    @property
    def sent(self) -> int:
        """Pulls sent."""
        return self._pulls.sent

    @property
    def outstanding(self) -> bool:
        """Whether a pull is not filled yet."""
        return self._pulls.outstanding(self.subscription.received)

    def start(self) -> None:
        """Pull from now on."""
        self.active = True
        self.ask()

    def stop(self) -> None:
        """Pull no more, and take all pulls for ended."""
        self.active = False
        self._pulls.clear(self.subscription.received)

    def expire(self) -> None:
        """Take the pulls for ended whose time is over, and pull if that makes it necessary."""
        self._pulls.expire(self._clock.seconds(), self.subscription.received)
        self.ask()

    def pinned(self, pin: str) -> None:
        """Send this ID of a pin with each pull."""
        self._pin = pin
        self._pinned_after = self._pulls.sent

    def ask(self) -> None:
        """
        Send a pull if half of the batch, or of the bytes, is used up.

        None is sent while as many bytes wait for the receiver: reading would pause in the end, and then the
        confirmations that routes wait for could not be read either.
        """
        if not self.active:
            return
        subscription, options = self.subscription, self.limits.options
        received = subscription.received
        if received != self._received_before:
            self._received_before = received
            self._lookup.works()
        batch = options.batch - max(0, self._pulls.asked - received) - subscription.pending
        uses_bytes = subscription.allowance < 0 and not subscription.pending and batch > 0
        is_low = batch >= (options.batch + 1) // 2 or uses_bytes
        if is_low and subscription.pending_bytes <= options.max_bytes // 2:
            pull = self._pulls.add(batch, options.max_bytes, self._clock.seconds(), received)
            request = options.request(batch, self._pin)
            self._connection.write(encode_pub(self._subject, request, f"{self.inbox}{pull.number}"), 1)
            subscription.allowance = options.max_bytes // 2
        subscription.ask_above = self._pulls.asked - options.batch // 2 - 1

    def _ended(self, number: int, status: PullStatus) -> Pull | None:
        return self._pulls.ended(number, status.messages, self.subscription.received)

    # -- statuses -----------------------------------------------------------------------------------------------------

    def on_status(self, msg: Msg) -> None:
        """Take a status of the server."""
        self.statuses += 1
        token = msg.address.subject[len(self.inbox) :]
        number = int(token) if token.isdecimal() and len(token) < 20 else 0
        if self.active and self._pulls.is_current(number):
            status = pull_status(msg)
            _REACTIONS[status.kind](self, number, status)

    def _heartbeat(self, number: int, status: PullStatus) -> None:
        self._lookup.works()

    def _unfilled(self, number: int, status: PullStatus) -> None:
        self.empty_answers += 1
        pull = self._ended(number, status)
        if pull is not None and self._clock.seconds() - pull.sent < min(_ENDED_AT_ONCE, self.limits.options.heartbeat):
            self._look_up_again()
        else:
            self._lookup.works()
            self.ask()

    def _filled(self, number: int, status: PullStatus) -> None:
        self._ended(number, status)
        self.ask()

    def _out_of_bytes(self, number: int, status: PullStatus) -> None:
        pull = self._ended(number, status)
        if pull is None or status.bytes != pull.max_bytes or self.limits.grow(pull.max_bytes, self._lookup.info):
            self.ask()
        else:
            remedy = "Raise max_bytes of the consumer, or delete the message"
            self._refuse(JetStreamError(f"{status.text}: it has more than {pull.max_bytes} bytes", 409, remedy=remedy))

    def _moved(self, number: int, status: PullStatus) -> None:
        if self._lookup.failures:
            self._look_up_again()
        else:
            self._lookup.failures = 1
            self.stop()
            self.start()

    def _gone(self, number: int, status: PullStatus) -> None:
        self._look_up_again()

    def _too_many(self, number: int, status: PullStatus) -> None:
        self.limits.warn(status)
        self._look_up_again()

    def _too_much(self, number: int, status: PullStatus) -> None:
        self.limits.warn(status)
        if self.limits.reduce(status):
            self._ended(number, status)
            self.ask()
        else:
            self._look_up_again()

    def _wrong_pin(self, number: int, status: PullStatus) -> None:
        self._ended(number, status)
        if number > self._pinned_after:
            self.pinned("")
        self.ask()

    def _bad_request(self, number: int, status: PullStatus) -> None:
        remedy = remedy_for_bad_request(self.limits.options, self._lookup.info)
        self._refuse(JetStreamError(status.text, 400, remedy=remedy))

    def _look_up_again(self) -> None:
        self.stop()
        self._lookup.begin_again()

    def _refuse(self, problem: JetStreamError) -> None:
        self.stop()
        self._lookup.refuse(problem)


_REACTIONS: dict[StatusKind, Callable[[Puller, int, PullStatus], None]] = {
    StatusKind.HEARTBEAT: Puller._heartbeat,
    StatusKind.EXPIRED: Puller._unfilled,
    StatusKind.NO_MESSAGES: Puller._unfilled,
    StatusKind.FILLED: Puller._filled,
    StatusKind.BYTES: Puller._out_of_bytes,
    StatusKind.DELETED: Puller._gone,
    StatusKind.MOVED: Puller._moved,
    StatusKind.PUSH_CONSUMER: Puller._gone,
    StatusKind.MAX_ACK_PENDING: Puller._too_many,
    StatusKind.MAX_WAITING: Puller._too_many,
    StatusKind.MAX_BATCH: Puller._too_much,
    StatusKind.MAX_EXPIRES: Puller._too_much,
    StatusKind.MAX_BYTES: Puller._too_much,
    StatusKind.WRONG_PIN: Puller._wrong_pin,
    StatusKind.BAD_REQUEST: Puller._bad_request,
    StatusKind.NO_RESPONDERS: Puller._gone,
    StatusKind.OTHER: Puller._too_many,
}
