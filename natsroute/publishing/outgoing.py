"""Messages on their way out, in as few objects as hold them: thousands are on the way at any moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import attrs
from twisted.python.failure import Failure

from natsroute.publishing.confirmation import Confirmation


class Unmade:
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


class Messages:
    """
    Messages on their way, as two lists in step.

    :ivar unmade: those of the commands that the pool must make first.
    """

    __slots__ = ("commands", "confirmations", "unmade")

    def __init__(self) -> None:
        self.confirmations: list[Confirmation] = []
        self.commands: list[bytes | Unmade] = []
        self.unmade: list[Unmade] = []

    def add(self, confirmation: Confirmation, command: bytes | Unmade) -> None:
        """One more, behind the others."""
        self.confirmations.append(confirmation)
        self.commands.append(command)
        if type(command) is Unmade:
            self.unmade.append(command)

    def before(self, others: Messages) -> Messages:
        """These, and then the others."""
        self.confirmations += others.confirmations
        self.commands += others.commands
        self.unmade += others.unmade
        return self

    def make(self) -> None:
        """Make what is unmade; in the pool."""
        for unmade in self.unmade:
            unmade.make()

    def as_batch(self) -> Batch:
        """As it is written, when all is made."""
        return Batch(self.confirmations, b"".join(cast("list[bytes]", self.commands)))


@attrs.define(eq=False, weakref_slot=False)
class Batch:
    """
    Messages written together: thousands are on the way at any moment, so they are kept in few objects.

    :ivar data: their commands, one behind the other.
    """

    confirmations: list[Confirmation]
    data: bytes


@attrs.frozen
class Settling:
    """
    Messages that the server has confirmed a moment ago.

    :ivar confirmed_at: on the reactor's clock.
    :ivar count: messages.
    """

    confirmed_at: float
    count: int
    data: bytes
