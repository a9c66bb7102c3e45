"""What became of the messages of a publish worker: the counters, and the Deferreds, which fire in turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from natsroute.confirmation import Confirmation, UnhandledFailureLog
from natsroute.errors import PublishDroppedError
from natsroute.hot import confirm_all
from natsroute.ledger import PublisherAccount
from natsroute.log import Logger
from natsroute.publishing.batches import Batch, Command, Message, Messages, Unserialised
from natsroute.publishing.buffer import Buffer
from natsroute.turns import MAX_TURN
from natsroute.wire.encoder import read_pub

#: Subjects that a log line about many messages names, and how many of the messages it looks at to find them.
_MAX_SUBJECTS = 10
_MAX_LOOKED_AT = 500

#: Called when the server has confirmed messages: see :class:`Outcomes`.
OnConfirmed = Callable[[float, int], None]

#: Confirmed messages between two looks at the clock. A smaller batch does without the clock.
_STEP = 16


class Outcomes:
    """
    Counts the messages of a worker that were confirmed or have failed, releases them from its buffer, and fires their
    Deferreds.

    The Deferreds fire in the order of the calls. If that takes longer than :data:`~natsroute.turns.MAX_TURN`, the rest
    of them fires in later turns of the reactor, because their callbacks are the user's code, and there may be tens of
    thousands.

    Failed messages are counted at once, and their Deferreds fail with :meth:`fire`: the worker calls it when its own
    state is consistent again, since callbacks may publish, or look at the account. Confirmed messages are counted, and
    released from the buffer, when their Deferreds fire. So the buffer is full if callbacks are too slow.

    :ivar confirmed: messages that were confirmed, and whose Deferreds have fired.
    :ivar unfired: messages that were confirmed, and whose Deferreds have not fired. They are in the buffer.
    :ivar failed: messages whose Deferreds have failed, or will fail.
    :ivar dropped: messages that were dropped, as their policy says.
    :ivar pending: what is still to be fired, in order. It makes progress when it is iterated over.

    :param on_turn: called after each later turn.
    :param on_confirmed: called when the server has confirmed messages, with the seconds since the first of them was
        published, and how many they are; None if nobody wants to know.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        buffer: Buffer,
        unhandled: UnhandledFailureLog,
        on_turn: Callable[[], None],
        on_confirmed: OnConfirmed | None = None,
    ) -> None:
        self.confirmed = self.unfired = self.failed = self.dropped = 0
        self.pending: deque[Iterator[None]] = deque()
        self._clock = clock
        self._buffer = buffer
        self._unhandled = unhandled
        self._on_turn = on_turn
        self._on_confirmed = on_confirmed
        self._is_firing = False
        self._fired_at = float("-inf")
        self._left = MAX_TURN  # seconds that fire() may take
        self._next_turn: IDelayedCall | None = None

    @property
    def ended(self) -> int:
        """Messages that were confirmed, have failed or were dropped, whether their Deferreds have fired or not."""
        return self.confirmed + self.unfired + self.failed + self.dropped

    def account(self, resent: int, held: Iterable[Messages | Batch]) -> PublisherAccount:
        """
        What became of all messages.

        :param resent: messages that were sent again.
        :param held: messages that are neither confirmed nor failed.
        """
        return PublisherAccount(
            published=self.confirmed + self.failed + self.dropped + self._buffer.messages,
            confirmed=self.confirmed,
            failed=self.failed,
            dropped=self.dropped,
            resent=resent,
            # Not a counter, so that the ledger finds it if a message has disappeared.
            in_progress=self.unfired + sum(len(messages.confirmations) for messages in held),
        )

    # -- confirmed ----------------------------------------------------------------------------------------------------

    def confirm(self, confirmations: list[Confirmation | None], size: int, since: float = 0.0) -> None:
        """
        Fire the Deferreds of messages that the server has: at once if there are few, and nothing is pending.

        :param size: bytes of their commands.
        :param since: when the first of them was published, on the reactor's clock.
        """
        kept = [*filter(None, confirmations)]  # mostly there are none: a route drops its Deferreds
        if len(kept) > _STEP or self.pending or self._is_firing:
            self.confirm_later(confirmations, size, since)
            return
        count = len(confirmations)
        if self._on_confirmed is not None:
            self._on_confirmed(self._clock.seconds() - since, count)
        self.confirmed += count
        buffer = self._buffer  # the same as Buffer.release(), without the call: nearly every batch comes this way
        buffer.messages -= count
        buffer.batch_ends_at -= count
        buffer.bytes -= size
        self._is_firing = True
        try:
            confirm_all(kept)
        finally:
            self._is_firing = False

    def confirm_later(self, confirmations: list[Confirmation | None], size: int, since: float = 0.0) -> None:
        """The same, but the Deferreds fire with :meth:`fire`, when the worker's own state is consistent again."""
        if self._on_confirmed is not None:
            self._on_confirmed(self._clock.seconds() - since, len(confirmations))
        self.unfired += len(confirmations)
        self.pending.append(self._confirm_in_steps(confirmations, size))

    def _confirm_in_steps(self, confirmations: list[Confirmation | None], size: int) -> Iterator[None]:
        left = len(confirmations)
        for start in range(0, left, _STEP):
            part = confirmations[start : start + _STEP]
            released = size * len(part) // left
            left -= len(part)
            size -= released
            self.unfired -= len(part)
            self.confirmed += len(part)
            self._buffer.release(len(part), released)
            confirm_all(part)
            yield

    # -- failed -------------------------------------------------------------------------------------------------------

    def drop(self, confirmation: Confirmation, command: Command) -> None:
        """Drop the newest message."""
        self.dropped += 1
        self._buffer.release(1, len(command))
        error = PublishDroppedError("the buffer of the publish worker is more than half full, and the policy is 'drop'")
        self._refuse(confirmation, command, error)

    def refuse(self, confirmation: Confirmation, command: Command, error: Exception) -> None:
        """Fail the newest message."""
        self.failed += 1
        self._buffer.release(1, len(command))
        self._refuse(confirmation, command, error)

    def _refuse(self, confirmation: Confirmation, command: Command, error: Exception) -> None:
        if confirmation.has_callbacks:  # of another thread, so it waits for its turn
            self.call(partial(self._fail, confirmation, command, error))
        else:
            self._fail(confirmation, command, error)

    def withdraw(self, messages: Iterable[Message]) -> None:
        """Count messages whose Deferreds were cancelled before they were written."""
        for _, command in messages:
            self.failed += 1
            self._buffer.release(1, len(command))

    def fail(self, confirmation: Confirmation | None, command: Command, error: Exception | Failure) -> None:
        """Fail a message."""
        self.failed += 1
        self._buffer.release(1, len(command))
        self.call(partial(self._fail, confirmation, command, error))

    def fail_later(self, messages: list[Message], make_error: Callable[[Command], Exception | Failure]) -> None:
        """
        Fail messages, with an error for each that is made when its Deferred fails.

        :param messages: it belongs to this object from now on.
        :param make_error: called with the command of each.
        """
        self.failed += len(messages)
        self._buffer.release(len(messages), sum([len(command) for _, command in messages]))
        self.pending.append(self._fail_in_steps(messages, make_error))

    def _fail_in_steps(
        self, messages: list[Message], make_error: Callable[[Command], Exception | Failure]
    ) -> Iterator[None]:
        messages.reverse()
        while messages:
            confirmation, command = messages.pop()
            self._fail(confirmation, command, make_error(command))
            del confirmation  # if nobody has it, its failure is logged now, and so in the order of the messages
            yield

    def fail_all(
        self, groups: Iterable[Messages | Batch | Sequence[Message]], make_error: Callable[[], Exception]
    ) -> None:
        """
        Fail messages, and log them in one line.

        :param groups: not of messages that were confirmed already. They must not change any more.
        :param make_error: called for each message, since each Deferred needs an exception of its own.
        """
        groups = list(groups)
        count = size = 0
        for group in groups:
            if type(group) is Batch:
                count += len(group.confirmations)
                size += len(group.data)
            else:
                commands = [command for _, command in group]
                count += len(commands)
                size += sum(map(len, commands))
        if not count:
            return
        self.failed += count
        self._buffer.release(count, size)
        subjects: set[str] = set()
        for _, command in islice((message for group in groups for message in group), _MAX_LOOKED_AT):
            if len(subjects) < _MAX_SUBJECTS:
                subjects.add(self._unhandled.describe(_subject_of(command)))
        self.log.error(
            "Not confirmed: {count} message(s) to {subjects}: {reason}",
            count=count,
            subjects=", ".join(sorted(subjects)),
            reason=make_error(),
        )
        self.pending.append(_fail_each(groups, make_error))

    def _fail(self, confirmation: Confirmation | None, command: Command, error: Exception | Failure) -> None:
        """Fail a Deferred. An abandoned message is logged instead."""
        on_unhandled = partial(self._unhandled.add, subject=_subject_of(command))
        if confirmation is None:
            on_unhandled(error if isinstance(error, Failure) else Failure(error))
        else:
            confirmation.fail(error, on_unhandled)

    # -- in turns -----------------------------------------------------------------------------------------------------

    def call(self, *functions: Callable[[], object]) -> None:
        """Call functions when all that is pending now has fired, from :meth:`fire`."""
        if not self.pending or type(self.pending[-1]) is not _Calls:
            self.pending.append(_Calls())
        calls = self.pending[-1]
        assert isinstance(calls, _Calls)
        calls.functions.extend(functions)

    def fire(self) -> None:
        """Fire what is pending, unless the next turn does it."""
        if self._is_firing or self._next_turn is not None or not self.pending:
            return
        self._is_firing = True
        now = self._clock.seconds()
        # Several PONGs, each of which confirms a large batch, may arrive in one turn: they share the time.
        turn_ends = now + min(MAX_TURN, self._left + now - self._fired_at)
        try:
            while self.pending:
                for _ in self.pending[0]:
                    if self._clock.seconds() >= turn_ends:
                        self._next_turn = self._clock.callLater(0, self._fire_on)
                        return
                self.pending.popleft()
        finally:
            self._is_firing = False
            self._fired_at = self._clock.seconds()
            self._left = max(0.0, turn_ends - self._fired_at)

    def _fire_on(self) -> None:
        self._next_turn = None
        self._left = MAX_TURN
        self.fire()
        self._on_turn()


class _Calls(Iterator[None]):
    """Calls functions, one in each step."""

    def __init__(self) -> None:
        self.functions: deque[Callable[[], object]] = deque()

    def __next__(self) -> None:
        if not self.functions:
            raise StopIteration
        self.functions.popleft()()


def _fail_each(groups: Iterable[Iterable[Message]], make_error: Callable[[], Exception]) -> Iterator[None]:
    """Fail messages that were logged already, one in each step."""
    for group in groups:
        for confirmation, _ in group:
            if confirmation is not None:
                confirmation.fail(make_error(), _ignore)
            yield


def _ignore(failure: Failure) -> None:
    """For failures that have been logged."""


def _subject_of(command: Command) -> str:
    return command.subject if isinstance(command, Unserialised) else read_pub(command).subjects[0]
