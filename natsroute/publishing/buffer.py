"""
What a publish worker holds: its bounds, the marks at which producers pause and go on, and the messages that leave it
because they failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from twisted.python.failure import Failure

from natsroute.errors import PublishBufferFullError, PublishDroppedError
from natsroute.log import Logger
from natsroute.publishing.batches import Command, Message, Unserialised
from natsroute.publishing.confirmation import Confirmation, UnhandledFailureLog
from natsroute.publishing.options import PublishLimits
from natsroute.wire.encoder import read_pub

#: Subjects that a log line about many messages names.
_MAX_SUBJECTS = 10


class Buffer:
    """
    Counts the messages that a worker holds, and their bytes.

    No other class writes these counters, with one exception: :meth:`PublishWorker.add` adds to them, because a method
    call for each message is too expensive there.

    :ivar messages: messages held.
    :ivar bytes: bytes of their commands; a payload that is not serialised yet counts 0, its headers do.
    :ivar high_water_messages: the high-water mark in messages, half of the bound.
    :ivar high_water_bytes: the high-water mark in bytes, likewise.
    :param on_high_water: see :meth:`signal_high_water`.
    :param on_low_water: see :meth:`signal_low_water`.
    """

    __slots__ = (
        "_is_above",
        "_limits",
        "_on_high_water",
        "_on_low_water",
        "bytes",
        "high_water_bytes",
        "high_water_messages",
        "messages",
    )

    def __init__(
        self, limits: PublishLimits, on_high_water: Callable[[], None], on_low_water: Callable[[], None]
    ) -> None:
        self.messages = self.bytes = 0
        self.high_water_messages = limits.messages // 2
        self.high_water_bytes = limits.bytes // 2
        self._limits = limits
        self._on_high_water = on_high_water
        self._on_low_water = on_low_water
        self._is_above = False  # on_high_water was called, and on_low_water not yet

    @property
    def is_exceeded(self) -> bool:
        """Whether the newest message is one too many."""
        return self.messages > self._limits.messages or self.bytes > self._limits.bytes

    @property
    def free(self) -> int:
        """Bytes that fit in; negative if there are too many already."""
        return self._limits.bytes - self.bytes

    def full_error(self, size: int) -> PublishBufferFullError:
        """
        The error for the newest message, which does not fit.

        :param size: bytes of its command.
        """
        return PublishBufferFullError(
            messages=self.messages - 1,
            max_messages=self._limits.messages,
            bytes=self.bytes - size,
            max_bytes=self._limits.bytes,
        )

    def grow(self, size: int) -> None:
        """Count the bytes of messages that are held already, once their payloads are serialised."""
        self.bytes += size

    def release(self, messages: int, size: int) -> None:
        """Subtract messages that were confirmed, failed or dropped, and the bytes that were counted for them."""
        self.messages -= messages
        self.bytes -= size

    def signal_high_water(self) -> None:
        """Call ``on_high_water``, once until the low-water mark is reached."""
        if not self._is_above:
            self._is_above = True
            self._on_high_water()

    def signal_low_water(self) -> None:
        """Call ``on_low_water`` if producers pause and both counters are down to a quarter of their bounds."""
        if self._is_above and self.messages * 4 <= self._limits.messages and self.bytes * 4 <= self._limits.bytes:
            self._is_above = False
            self._on_low_water()


class Failures:
    """
    Counts the messages of a worker that failed, releases them from its buffer, and fails their Deferreds.

    Counters and buffer change at once. The Deferreds fail in :meth:`fire`, which the worker calls when its own state is
    consistent again: their callbacks may publish, or look at the account.

    :ivar failed: messages whose Deferred failed, or will fail with the next :meth:`fire`.
    :ivar dropped: messages that were dropped, as their policy says.
    """

    log = Logger()

    def __init__(self, buffer: Buffer, unhandled: UnhandledFailureLog) -> None:
        self.failed = self.dropped = 0
        self._buffer = buffer
        self._unhandled = unhandled
        self._to_fire: list[tuple[Confirmation | None, Command, Exception | Failure, bool]] = []

    def drop(self, confirmation: Confirmation, command: Command) -> None:
        """Drop the newest message; its Deferred fails at once."""
        self.dropped += 1
        self._buffer.release(1, len(command))
        error = PublishDroppedError("the buffer of the publish worker is more than half full, and the policy is 'drop'")
        confirmation.fail(Failure(error), partial(self._unhandled.add, subject=_subject_of(command)))

    def withdraw(self, messages: Iterable[Message]) -> None:
        """Count messages whose Deferreds were cancelled before they were written."""
        for _, command in messages:
            self.failed += 1
            self._buffer.release(1, len(command))

    def add(
        self,
        confirmation: Confirmation | None,
        command: Command,
        error: Exception | Failure,
        *,
        logged: bool = False,
    ) -> None:
        """
        Count a failed message.

        :param logged: whether the failure has been logged already.
        """
        self.failed += 1
        self._buffer.release(1, len(command))
        self._to_fire.append((confirmation, command, error, logged))

    def add_all(self, messages: Iterable[Message], make_error: Callable[[], Exception]) -> None:
        """
        Count failed messages, and log them in one line.

        :param make_error: called for each message, since each Deferred needs an exception of its own.
        """
        subjects: set[str] = set()
        count = 0
        for confirmation, command in messages:
            count += 1
            if len(subjects) < _MAX_SUBJECTS:
                subjects.add(self._unhandled.describe(_subject_of(command)))
            self.add(confirmation, command, make_error(), logged=True)
        if count:
            self.log.error(
                "Not confirmed: {count} message(s) to {subjects}: {reason}",
                count=count,
                subjects=", ".join(sorted(subjects)),
                reason=make_error(),
            )

    def fire(self) -> None:
        """Fail the Deferreds of the messages that were added. Abandoned messages are logged instead."""
        if not self._to_fire:
            return
        to_fire, self._to_fire = self._to_fire, []
        for confirmation, command, error, logged in to_fire:
            on_unhandled = _ignore if logged else partial(self._unhandled.add, subject=_subject_of(command))
            if confirmation is None:
                on_unhandled(error if isinstance(error, Failure) else Failure(error))
            else:
                confirmation.fail(error, on_unhandled)


def _ignore(failure: Failure) -> None:
    """For failures that have been logged."""


def _subject_of(command: Command) -> str:
    return command.subject if isinstance(command, Unserialised) else read_pub(command).subjects[0]
