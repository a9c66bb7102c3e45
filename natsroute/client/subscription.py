"""A subscription: hands messages to a receiver, and keeps what arrives while the receiver is busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Literal, get_args
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.errors import PendingLimitError, ServerError
from natsroute.hot import Gate, Way
from natsroute.log import Logger
from natsroute.turns import SharedTurns
from natsroute.wire.frames import Msg

#: What happens when more messages are pending than the limits allow: reading pauses until half of them are handled, or
#: messages are dropped.
PendingPolicy = Literal["pause", "drop_oldest", "drop_newest"]
PENDING_POLICIES: tuple[PendingPolicy, ...] = get_args(PendingPolicy)


@attrs.frozen
class PendingLimits:
    """
    How much may wait for a busy receiver, and what happens above that.

    :ivar messages: number of messages.
    :ivar bytes: bytes of their payloads and headers.
    """

    messages: int = 65_536
    bytes: int = 32 * 1024 * 1024
    policy: PendingPolicy = "pause"


class Owner(Interface):
    """
    What a subscription asks of those that it belongs to.

    An interface and not four callables: they come from one object, and a connection may have thousands of
    subscriptions.

    :ivar clock: the reactor.
    :ivar turns: shares the turns of the reactor with other subscriptions that have a backlog.
    """

    clock: IReactorTime
    turns: SharedTurns

    def pause(self, subscription: Subscription) -> None:
        """Stop reading until the subscription resumes."""

    def resume(self, subscription: Subscription) -> None:
        """Read again."""

    def forget(self, subscription: Subscription) -> None:
        """Drop a subscription that has had its last message."""

    def unsubscribe(self, subscription: Subscription, max_messages: int | None) -> None:
        """End it, now or after ``max_messages`` messages in all."""


class Subscription(Gate):
    """
    Hands messages to a receiver, one after the other.

    :param on_msg: called with each message. If it returns a Deferred, the next message follows when that has fired,
        with any result; otherwise it follows at once. Messages that arrive before are pending. They are handed over in
        a copy of the context (contextvars) that the subscription was made in, whatever fired the Deferred. An exception
        is logged.
    :param limits: if more is pending, reading pauses or messages are dropped, as the policy says.
    :param on_overflow: called with :class:`~natsroute.errors.PendingLimitError` when the limits are first exceeded, and
        not again before half of them is reached. An exception is logged.

    :ivar sid: its number on the wire.
    :ivar subject: the subject, which may have wildcards.
    :ivar queue_group: the queue group, or None.
    :ivar overlaps: whether two servers may have it at once, although a message would come twice.
    :ivar dropped: those of them that were dropped.
    :ivar refused: why the server does not send any, or None. It is asked again after a while.
    """

    log = Logger()

    def __init__(
        self,
        owner: Owner,
        sid: int,
        subject: str,
        queue_group: str | None,
        on_msg: Callable[[Any], Deferred[None] | None],
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None] = lambda error: None,
    ) -> None:
        super().__init__(on_msg)
        self.sid = sid
        self.subject = subject
        self.queue_group = queue_group
        self.overlaps = False
        self.dropped = 0
        self.refused: ServerError | None = None
        self._max_messages: int | None = None
        self._owner = owner
        self._limits = limits
        self._on_overflow = on_overflow
        self._overflowing = False
        self._pending: deque[Msg] = deque()
        self._pending_bytes = 0
        self._holds = 0
        self._releasing = False
        self._next_turn: IDelayedCall | None = None  # hands over the rest of a long backlog
        self._context = copy_context()

    @property
    def pending(self) -> int:
        """Messages that wait for the receiver."""
        return len(self._pending)

    @property
    def pending_subjects(self) -> list[str]:
        """The subject of each pending message."""
        return [msg.subject for msg in self._pending]

    def take_pending(self) -> list[Msg]:
        """Take out the messages that wait for the receiver: it will not get them. Reading resumes."""
        messages = list(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if self._overflowing:
            self._overflowing = False
            self._owner.resume(self)
        return messages

    @property
    def left(self) -> int | None:
        """Messages that are still to come, or None if there is no end."""
        return None if self._max_messages is None else self._max_messages - self.received

    def hand_to(
        self,
        on_msg: Callable[[Any], Deferred[None] | None],
        ways: dict[str, Way],
        only_without_headers: bool = False,
    ) -> None:
        """
        Hand the next message, and all after it, to other receivers. A receiver may call this itself.

        :param on_msg: as for the class.
        :param ways: what shorter ways there are, by the subject of the message. They may change.
        :param only_without_headers: whether a message with headers takes none of them.
        """
        self.on_msg, self.ways, self.only_without_headers = on_msg, ways, only_without_headers

    def hold(self) -> None:
        """Hand over no more messages, until :meth:`release` has been called as often as this."""
        self._holds += 1
        self.is_direct = False

    def release(self) -> None:
        """
        Undo one :meth:`hold`. After the last one, pending messages are handed over; those that arrive meanwhile wait
        behind them.
        """
        self._holds -= 1
        # If a receiver calls this that was done at once, the loop below continues.
        if self._releasing or self._next_turn is not None:
            return
        if self._pending or self._overflowing:
            self._context.copy().run(self._hand_over_pending)
        else:
            self.is_direct = not self._holds and self._max_messages is None

    def _hand_over_pending(self) -> None:
        self._releasing = True
        turn_ends: float | None = None
        try:
            while self._pending and not self._holds:
                msg = self._pending.popleft()
                self._pending_bytes -= msg.size
                busy = self.hand(msg)
                if busy is not None:
                    self._wait_for(busy)
                if self._holds or not self._pending:  # mostly, and then the clock need not be asked
                    break
                clock = self._owner.clock
                if turn_ends is None:
                    turn_ends = clock.seconds() + self._owner.turns.share()
                elif clock.seconds() >= turn_ends:
                    self._next_turn = self._owner.turns.next(self._go_on)
                    break
        finally:
            self._releasing = False
            self.is_direct = not self._holds and not self._pending and self._max_messages is None
        if self._overflowing and not self._is_above(self._limits.messages // 2, self._limits.bytes // 2):
            self._overflowing = False
            self._owner.resume(self)

    def _go_on(self) -> None:
        self._next_turn = None
        self.hold()
        self.release()

    def unsubscribe(self, max_messages: int | None = None) -> None:
        """
        End the subscription, now or after a number of messages. Pending messages are still handed over.

        :param max_messages: counted from the beginning of the subscription.
        """
        self._owner.unsubscribe(self, max_messages)

    def end_at(self, max_messages: int) -> None:
        """Take no more than ``max_messages`` in all."""
        self._max_messages = max_messages
        self.is_direct = False

    def _took(self, msg: Msg) -> bool:
        """Whether a message is pending or was dropped, instead of being handed over."""
        if self.left == 0:
            self._owner.forget(self)
        if not self._holds and not self._pending:
            return False
        self._pending.append(msg)
        self._pending_bytes += msg.size
        if self._is_above(self._limits.messages, self._limits.bytes):
            self._overflow()
        return True

    def _is_above(self, messages: int, size: int) -> bool:
        return len(self._pending) > messages or self._pending_bytes > size

    def _overflow(self) -> None:
        limits, begins = self._limits, not self._overflowing
        self._overflowing = True
        error = (
            PendingLimitError(self.subject, self.queue_group, len(self._pending), self._pending_bytes, limits.policy)
            if begins
            else None
        )
        if limits.policy == "pause":
            self._owner.pause(self)
        else:
            while self._is_above(limits.messages, limits.bytes):
                msg = self._pending.popleft() if limits.policy == "drop_oldest" else self._pending.pop()
                self._pending_bytes -= msg.size
                self.dropped += 1
        if error is not None:
            try:
                self._on_overflow(error)
            except Exception:
                self.log.failure("on_overflow of {subject} raised an exception", subject=self.subject)

    def _receiver_raised(self, msg: Msg) -> None:
        self.log.failure("The receiver of {subject} raised an exception", subject=msg.subject)

    def _wait_for(self, busy: object) -> None:
        # Not isinstance(), which is slow for a subclass of Deferred, as coroutines have: Deferred is an abstract class.
        add_both = getattr(busy, "addBoth", None)
        if add_both is not None:
            self._holds += 1
            self.is_direct = False
            add_both(self._receiver_ready)

    def _receiver_ready(self, result: object) -> None:
        self.release()
