"""Messages that the server will not have: each is counted, leaves its room, and has its Deferred failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.logger import Logger
from twisted.python.failure import Failure

from natsroute.errors import PublishDroppedError
from natsroute.publishing.batches import OneMessage, Unserialised
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.complaints import UnhandledFailureLog
from natsroute.publishing.confirmation import Confirmation
from natsroute.wire.encoder import read_pub


class Failures:
    """
    The losses of one worker.

    :ivar failed: messages whose Deferred failed, those refused for want of room included.
    :ivar dropped: messages that gave way, as their policy asked for.
    :param room: what they leave.
    """

    log = Logger()

    def __init__(self, room: Buffer, complaints: UnhandledFailureLog) -> None:
        self.failed = self.dropped = 0
        self._room = room
        self._complaints = complaints
        self._untold: list[tuple[Confirmation | None, Exception | Failure, Callable[[Failure], None]]] = []

    def drop(self, confirmation: Confirmation, command: bytes | Unserialised) -> None:
        """It was to be taken, and gives way; its Deferred fails at once."""
        self.dropped += 1
        self._room.release(1, len(command))
        reason = Failure(PublishDroppedError("its worker is half full, and its policy is 'drop'"))
        confirmation.fail(reason, self._complaints.add)

    def fail(
        self,
        confirmation: Confirmation | None,
        command: bytes | Unserialised,
        reason: Exception | Failure,
        *,
        told: bool = False,
    ) -> None:
        """
        Count it; its Deferred fails with :meth:`tell`.

        :param told: whether the log has it already.
        """
        self.failed += 1
        # What the pool makes is counted when it comes back from there.
        self._room.release(1, len(command) if type(command) is bytes else 0)
        self._untold.append((confirmation, reason, _ignore if told else self._complaints.add))

    def fail_all(self, messages: Iterable[OneMessage], make_reason: Callable[[], Exception]) -> None:
        """Fail them in one line of the log; each gets an exception of its own, for it may be raised somewhere."""
        subjects: set[str] = set()
        count = 0
        for confirmation, command in messages:
            count += 1
            if len(subjects) < 10:
                subjects.add(_subject_of(command))
            self.fail(confirmation, command, make_reason(), told=True)
        if count:
            self.log.error(
                "{count} messages were not confirmed, to {subjects}: {reason}",
                count=count,
                subjects=", ".join(sorted(subjects)),
                reason=make_reason(),
            )

    def tell(self) -> None:
        """Fail their Deferreds: when all is in its place again, for their callbacks may look around."""
        untold, self._untold = self._untold, []
        for confirmation, reason, unheard in untold:
            if confirmation is None:
                unheard(reason if isinstance(reason, Failure) else Failure(reason))
            else:
                confirmation.fail(reason, unheard)


def _ignore(failure: Failure) -> None:
    """It is told already."""


def _subject_of(command: bytes | Unserialised) -> str:
    return command.subject if isinstance(command, Unserialised) else read_pub(command).subjects[0]
