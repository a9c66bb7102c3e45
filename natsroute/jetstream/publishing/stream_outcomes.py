"""What becomes of the messages to streams: Deferreds fire, counters are added up, and waiters are notified."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute.confirmation import UnhandledFailureLog
from natsroute.errors import PublishDroppedError
from natsroute.jetstream.publishing.outgoing_message import OutgoingMessage
from natsroute.jetstream.publishing.pub_ack import PubAck
from natsroute.ledger import PublisherAccount
from natsroute.turns import BacklogLoop


class StreamOutcomes:
    """
    Ends messages. Those that fail are counted at once, and their Deferreds fail with :meth:`fire`, when the publisher's
    state is consistent again, because callbacks may publish. If many fail, later turns of the reactor fail the rest.

    :ivar confirmed: messages that a stream has acknowledged. The publisher's hot path adds to it.
    :ivar failed: messages whose Deferreds have failed, or will fail.
    :ivar dropped: messages that were dropped, as their policy says.
    :ivar flushes: for each caller that waits for the messages so far: the number of the last of them, how many of them
        have not ended, and its Deferred.

    :param buffer: counts the messages that are held.
    """

    def __init__(self, clock: IReactorTime, buffer: Any, unhandled: UnhandledFailureLog) -> None:
        self.confirmed = self.failed = self.dropped = 0
        self.flushes: list[list[Any]] = []
        self._buffer = buffer
        self._unhandled = unhandled
        self._pending: deque[Callable[[], object]] = deque()
        self._firing = BacklogLoop(clock, self._fire_oldest)

    def account(self, published: int, resent: int, unacknowledged: int) -> PublisherAccount:
        """The counters, with those that the publisher keeps."""
        return PublisherAccount(
            published=published,
            confirmed=self.confirmed,
            failed=self.failed,
            dropped=self.dropped,
            resent=resent,
            in_progress=unacknowledged,
        )

    def confirm(self, message: OutgoingMessage, ack: PubAck) -> None:
        """A stream has the message."""
        self.confirmed += 1
        self._buffer.release(1, message.size)
        message.command = None
        self.ended(message)
        confirmation = message.confirmation
        if not confirmation.called:
            confirmation.callback(ack)  # type: ignore[arg-type]  # of messages to streams, it fires with this

    def refuse(self, message: OutgoingMessage, error: Exception) -> None:
        """Fail the newest message, which is counted in the buffer and nowhere else."""
        if isinstance(error, PublishDroppedError):
            self.dropped += 1
        else:
            self.failed += 1
        self._end(message, error)

    def fail(self, message: OutgoingMessage, error: Exception | Failure) -> None:
        """Fail a message. If its Deferred was cancelled, that has failed already."""
        self.failed += 1
        self._end(message, error)

    def _end(self, message: OutgoingMessage, error: Exception | Failure) -> None:
        self._buffer.release(1, message.size)
        message.command = None
        self._pending.append(partial(self._fail, message, error))
        if self.flushes:
            self.ended(message)

    def _fail(self, message: OutgoingMessage, error: Exception | Failure) -> None:
        message.confirmation.fail(error, partial(self._unhandled.add, subject=message.target.name))

    # -- waiters ------------------------------------------------------------------------------------------------------

    def flush(self, unacknowledged: Iterable[OutgoingMessage], last: int) -> Deferred[None]:
        """Fires when each of these messages has ended, the last of which has this number."""
        flushed: Deferred[None] = Deferred()
        left = sum(1 for _ in unacknowledged)
        self.flushes.append([last, left, flushed])
        self._check_flushes()
        return flushed

    def ended(self, message: OutgoingMessage) -> None:
        """A message has ended: callers of :meth:`flush` may have waited for it."""
        if self.flushes:
            for flush in self.flushes:
                if message.number <= flush[0]:
                    flush[1] -= 1
            self._check_flushes()

    def _check_flushes(self) -> None:
        ended = [flush for flush in self.flushes if flush[1] <= 0]
        if ended:
            self.flushes = [flush for flush in self.flushes if flush[1] > 0]
            self._pending.extend(partial(flush[2].callback, None) for flush in ended)
            self._firing.run_later()

    def call(self, function: Callable[[], object]) -> None:
        """Call a function when all that is pending now has fired, from :meth:`fire`."""
        self._pending.append(function)

    def fire(self) -> None:
        """Fire what is pending, unless the next turn does it."""
        if self._pending:
            self._firing.run()

    def _fire_oldest(self) -> bool:
        if self._pending:
            self._pending.popleft()()
        return bool(self._pending)
