"""Messages on their way out, in as few objects as hold them: thousands are on the way at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import attrs
from twisted.python.failure import Failure

from natsroute.publishing.confirmation import Confirmation, without_abandoned
from natsroute.wire.encoder import split_pubs


class Unserialised:
    """
    A command that the pool must make before it can be sent.

    :ivar made: the command, or why there is none; None until the pool has been there.
    """

    __slots__ = ("_make", "made", "subject")

    def __init__(self, subject: str, make: Callable[[], bytes]) -> None:
        self.subject = subject
        self.made: bytes | Failure | None = None
        self._make = make

    def make(self) -> None:
        """Make it; in the pool."""
        try:
            self.made = self._make()
        except BaseException:
            self.made = Failure()

    def __len__(self) -> int:
        """Bytes of the command, as far as it is made."""
        return len(self.made) if isinstance(self.made, bytes) else 0


#: One message: what says what became of it, or None if nobody will look; and its command.
OneMessage = tuple["Confirmation | None", "bytes | Unserialised"]


class Messages:
    """
    Messages on their way, as two lists in step.

    :ivar unmade: those of the commands that the pool must make first.
    :ivar since: when the first of them was published, on the reactor's clock.
    :ivar all_kept: whether all of them may be sent again.
    """

    __slots__ = ("all_kept", "commands", "confirmations", "since", "unmade")

    def __init__(self, since: float = 0.0) -> None:
        self.confirmations: list[Confirmation | None] = []
        self.commands: list[bytes | Unserialised] = []
        self.unmade: list[Unserialised] = []
        self.since = since
        self.all_kept = True

    def add(self, confirmation: Confirmation | None, command: bytes | Unserialised) -> None:
        """One more, behind the others."""
        self.confirmations.append(confirmation)
        self.commands.append(command)
        if type(command) is Unserialised:
            self.unmade.append(command)
        if not is_kept(confirmation):
            self.all_kept = False

    def __iter__(self) -> Iterator[OneMessage]:
        return zip(self.confirmations, self.commands)

    def forget_abandoned(self) -> None:
        """Keep no Deferred that nobody will look at."""
        if self.all_kept:  # else it says which message is
            self.confirmations = without_abandoned(self.confirmations)

    def before(self, others: Messages) -> Messages:
        """These, and then the others."""
        self.confirmations += others.confirmations
        self.commands += others.commands
        self.unmade += others.unmade
        self.all_kept = self.all_kept and others.all_kept
        return self

    def make(self) -> None:
        """Make what is unmade; in the pool."""
        for unmade in self.unmade:
            unmade.make()

    def as_batch(self) -> Batch:
        """As it is written, when all is made."""
        data = b"".join(cast("list[bytes]", self.commands))
        return Batch(self.confirmations, data, self.since, self.all_kept)


@attrs.define(eq=False, weakref_slot=False)
class Batch:
    """
    Messages written together: thousands are on the way at any moment, so they are kept in few objects.

    :ivar confirmations: none for messages that are written again though they were confirmed, and none for those that
        have failed since.
    :ivar data: their commands, one behind the other; nothing is left of those that have expired.
    :ivar since: when the first of them was published.
    :ivar all_kept: whether all of them may be sent again.
    """

    confirmations: list[Confirmation | None]
    data: bytes
    since: float
    all_kept: bool = True

    def __iter__(self) -> Iterator[OneMessage]:
        return zip(self.confirmations, split_pubs(self.data))


def is_kept(confirmation: Confirmation | None) -> bool:
    """Whether a message may be sent again."""
    return confirmation is None or confirmation.kept


def messages_of(messages: Iterable[OneMessage], since: float) -> Messages:
    """Single messages together again."""
    together = Messages(since)
    for confirmation, command in messages:
        together.add(confirmation, command)
    return together
