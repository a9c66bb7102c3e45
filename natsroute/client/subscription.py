"""A subscription: a subject, perhaps a queue group, and what waits because its receiver is busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, get_args
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from natsroute.errors import PendingLimitError, PermissionsError
from natsroute.wire.frames import Msg

#: What to do when more messages come than may wait: read no more until half is handled, or drop.
PendingPolicy = Literal["pause", "drop_oldest", "drop_newest"]
PENDING_POLICIES: tuple[PendingPolicy, ...] = get_args(PendingPolicy)


@attrs.frozen
class PendingLimits:
    """
    How much may wait for a busy receiver, and what becomes of more.

    :ivar messages: messages.
    :ivar bytes: bytes of their payloads and headers.
    """

    messages: int = 65_536
    bytes: int = 32 * 1024 * 1024
    policy: PendingPolicy = "pause"


class Owner(Interface):
    """What a subscription asks of its connection."""

    def pause(self, subscription: Subscription) -> None:
        """Read no more until it is resumed."""

    def resume(self, subscription: Subscription) -> None:
        """Read again."""

    def forget(self, subscription: Subscription) -> None:
        """It has had its last message."""

    def unsubscribe(self, subscription: Subscription, max_messages: int | None) -> None:
        """Tell the server, at once or after so many messages in all."""


class Subscription:
    """
    Hands messages to a receiver, one after the other.

    The receiver is called with each message. If it returns a Deferred, no message follows until that has fired (with
    whatever result); anything else means "next". What comes in between waits here. Above ``limits`` an episode begins:
    the connection is asked to stop reading, or messages are dropped, as the policy says. It ends at half.

    :param on_overflow: told the beginning of each episode.

    :ivar received: messages so far.
    :ivar dropped: those of them that were dropped.
    :ivar refused: why the server does not send any, or None; asked again at the next reconnect.
    :ivar pending: messages that wait.
    """

    log = Logger()

    def __init__(
        self,
        connection: Owner,
        sid: int,
        subject: str,
        queue_group: str | None,
        on_msg: Callable[[Any], Deferred[None] | None],
        limits: PendingLimits,
        on_overflow: Callable[[PendingLimitError], None] = lambda error: None,
    ) -> None:
        self.sid = sid
        self.subject = subject
        self.queue_group = queue_group
        self.received = self.dropped = 0
        self.refused: PermissionsError | None = None
        self._max_messages: int | None = None
        self._connection = connection
        self._on_msg = on_msg
        self._limits = limits
        self._on_overflow = on_overflow
        self._overflowing = False
        self._waiting: deque[Msg] = deque()
        self._waiting_bytes = 0
        self._holds = 0
        self._pumping = False
        # Whether a message can be handed over as it comes: one look for each message, and not one at all of the above.
        self._is_direct = True

    @property
    def pending(self) -> int:
        """Messages that wait for the receiver."""
        return len(self._waiting)

    @property
    def pending_subjects(self) -> list[str]:
        """The subject of each of them."""
        return [msg.subject for msg in self._waiting]

    def deliver(self, msg: Msg) -> None:
        """Take a message from the connection."""
        self.received += 1
        if not self._is_direct and self._took(msg):
            return
        # As _hand_over(), without the call: this is the way of nearly every message.
        try:
            busy = self._on_msg(msg)
        except Exception:
            self._receiver_raised(msg)
            return
        if busy is not None:
            self._wait_for(busy)

    def hold(self) -> None:
        """Hand over nothing more until :meth:`release` has been called as often as this."""
        self._holds += 1
        self._is_direct = False

    def release(self) -> None:
        """Undo one :meth:`hold`; after the last, what waited is handed over."""
        self._holds -= 1
        if self._pumping:
            return  # called by a receiver that was quick: the loop below goes on
        self._pumping = True
        try:
            while self._waiting and not self._holds:
                msg = self._waiting.popleft()
                self._waiting_bytes -= msg.size
                self._hand_over(msg)
        finally:
            self._pumping = False
            self._is_direct = not self._holds and self._max_messages is None
        if self._overflowing and not self._is_above(self._limits.messages // 2, self._limits.bytes // 2):
            self._overflowing = False
            self._connection.resume(self)

    def unsubscribe(self, max_messages: int | None = None) -> None:
        """
        End the subscription, at once or when it has had so many messages in all. What waits is still handed over.

        :param max_messages: counted from the subscription's beginning.
        """
        self._connection.unsubscribe(self, max_messages)

    def _is_above(self, messages: int, size: int) -> bool:
        return len(self._waiting) > messages or self._waiting_bytes > size

    def _overflow(self) -> None:
        limits, begins = self._limits, not self._overflowing
        self._overflowing = True
        error = (
            PendingLimitError(self.subject, self.queue_group, len(self._waiting), self._waiting_bytes, limits.policy)
            if begins
            else None
        )
        if limits.policy == "pause":
            self._connection.pause(self)
        else:
            while self._is_above(limits.messages, limits.bytes):
                msg = self._waiting.popleft() if limits.policy == "drop_oldest" else self._waiting.pop()
                self._waiting_bytes -= msg.size
                self.dropped += 1
        if error is not None:
            try:
                self._on_overflow(error)
            except Exception:
                self.log.failure("The observer of {subject}'s limits raised an exception", subject=self.subject)

    @property
    def left(self) -> int | None:
        """How many messages are to come still; None: any number."""
        return None if self._max_messages is None else self._max_messages - self.received

    def end_at(self, max_messages: int) -> None:
        """It has its last message when it has had so many."""
        self._max_messages = max_messages
        self._is_direct = False

    def _took(self, msg: Msg) -> bool:
        """Whether a message waits, or was dropped, instead of being handed over."""
        if self.left == 0:
            self._connection.forget(self)
        if not self._holds and not self._waiting:
            return False
        self._waiting.append(msg)
        self._waiting_bytes += msg.size
        if self._is_above(self._limits.messages, self._limits.bytes):
            self._overflow()
        return True

    def _hand_over(self, msg: Msg) -> None:
        try:
            busy = self._on_msg(msg)
        except Exception:
            self._receiver_raised(msg)
            return
        if busy is not None:
            self._wait_for(busy)

    def _receiver_raised(self, msg: Msg) -> None:
        self.log.failure("The receiver of {subject} raised an exception", subject=msg.subject)

    def _wait_for(self, busy: object) -> None:
        if isinstance(busy, Deferred):
            self.hold()
            busy.addBoth(self._receiver_ready)

    def _receiver_ready(self, result: object) -> None:
        self.release()
