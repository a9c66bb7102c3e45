"""
Messages on their way to the server, and the filters that take out those that cannot go on.

Thousands are on their way at any moment, so they are kept in few objects: :class:`Messages` until they are written,
:class:`Batch` from then on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import attrs
from twisted.python.failure import Failure

from natsroute.errors import PayloadTooLargeError, PermissionsError
from natsroute.publishing.confirmation import Confirmation, without_abandoned
from natsroute.wire.encoder import read_pub, split_pubs


class Unserialised:
    """
    A command whose payload the thread pool has to serialise first.

    :ivar subject: the subject of its message.
    :ivar result: the command, or what was raised; None until :meth:`serialise` has run.
    :param factory: gives the command.
    """

    __slots__ = ("_factory", "result", "subject")

    def __init__(self, subject: str, factory: Callable[[], bytes]) -> None:
        self.subject = subject
        self.result: bytes | Failure | None = None
        self._factory = factory

    def serialise(self) -> None:
        """Call the factory. Runs in a thread of the pool."""
        try:
            self.result = self._factory()
        except BaseException:
            self.result = Failure()

    def __len__(self) -> int:
        """Bytes of the command; 0 if there is none yet."""
        return len(self.result) if isinstance(self.result, bytes) else 0


#: A ``PUB`` or ``HPUB`` with its payload.
Command = bytes | Unserialised

#: A message, and its Deferred; None in its place if it is abandoned.
Message = tuple[Confirmation | None, Command]

#: Fails a message: its Deferred, its command, and the error.
Fail = Callable[[Confirmation | None, Command, Exception | Failure], None]


class Messages:
    """
    Messages that are not written yet.

    :ivar confirmations: their Deferreds.
    :ivar commands: their commands, in the same order.
    :ivar unserialised: the commands that the pool has to serialise first.
    :ivar since: when the first was published, on the reactor's clock.
    :ivar all_resendable: whether all of them may be sent again.
    """

    __slots__ = ("all_resendable", "commands", "confirmations", "since", "unserialised")

    def __init__(self, since: float = 0.0) -> None:
        self.confirmations: list[Confirmation | None] = []
        self.commands: list[Command] = []
        self.unserialised: list[Unserialised] = []
        self.since = since
        self.all_resendable = True

    def __iter__(self) -> Iterator[Message]:
        return zip(self.confirmations, self.commands)

    def add(self, confirmation: Confirmation | None, command: Command) -> None:
        """Append a message."""
        self.confirmations.append(confirmation)
        self.commands.append(command)
        if type(command) is Unserialised:
            self.unserialised.append(command)
        if not _is_resendable(confirmation):
            self.all_resendable = False

    def extend(self, others: Messages) -> None:
        """Append later messages, which then count as old as these."""
        self.confirmations += others.confirmations
        self.commands += others.commands
        self.unserialised += others.unserialised
        self.all_resendable = self.all_resendable and others.all_resendable

    def take_unresendable(self) -> list[Message]:
        """Remove and return the messages that may not be sent again."""
        if self.all_resendable:
            return []
        resendable, others = _split_resendable(self)
        self.confirmations, self.commands = resendable.confirmations, resendable.commands
        self.unserialised = resendable.unserialised
        self.all_resendable = True
        return others

    def drop_abandoned(self) -> None:
        """Replace the Deferreds that nobody has any more by None."""
        if self.all_resendable:  # otherwise the Deferred is needed to know whether its message may
            self.confirmations = without_abandoned(self.confirmations)

    def serialise(self) -> None:
        """Serialise what is unserialised. Runs in a thread of the pool."""
        for command in self.unserialised:
            command.serialise()

    def to_batch(self) -> Batch:
        """The batch to write. All commands must be bytes."""
        data = b"".join(cast("list[bytes]", self.commands))
        return Batch(self.confirmations, data, self.since, self.all_resendable)


@attrs.define(eq=False, weakref_slot=False)
class Batch:
    """
    Messages that were written together, with one PING after them.

    :ivar confirmations: their Deferreds; empty for messages that are sent again although the server confirmed them.
    :ivar data: their commands, joined.
    :ivar since: when the first was published, on the reactor's clock.
    :ivar all_resendable: whether all of them may be sent again.
    """

    confirmations: list[Confirmation | None]
    data: bytes
    since: float = 0.0
    all_resendable: bool = True

    def __iter__(self) -> Iterator[tuple[Confirmation | None, bytes]]:
        return zip(self.confirmations, split_pubs(self.data))

    def clear(self) -> None:
        """Forget messages that have failed. The batch stays in line, since its PONG may still come."""
        self.confirmations, self.data = [], b""


class WrittenBatches:
    """
    Batches that were written and are not confirmed, and what the server refused of them.

    :ivar unconfirmed: those on the current connection, the oldest first.
    """

    __slots__ = ("_permission_errors", "_to_resend", "unconfirmed")

    def __init__(self) -> None:
        self.unconfirmed: deque[Batch] = deque()
        self._to_resend: list[Batch] = []  # what earlier connections did not confirm
        self._permission_errors: dict[str, PermissionsError] = {}  # of the oldest unconfirmed batch, by subject

    def __iter__(self) -> Iterator[Batch]:
        """The oldest first."""
        yield from self._to_resend
        yield from self.unconfirmed

    def add(self, batch: Batch) -> None:
        """A batch was written."""
        self.unconfirmed.append(batch)

    def refused(self, error: PermissionsError) -> None:
        """
        The server refused a subject. It answers in order, so the subject is one of the oldest unconfirmed batch, whose
        PONG comes next.
        """
        if error.operation not in ("publish", "reply") or not self.unconfirmed:
            return
        if len(self._permission_errors) < len(self.unconfirmed[0].confirmations):  # a batch cannot have more
            self._permission_errors[error.subject] = error

    def confirm(self, batch: Batch, fail: Fail) -> Batch | None:
        """
        The PONG of a batch arrived.

        :return: the batch without the messages that the server refused; None if it was abandoned meanwhile.
        """
        if not self.unconfirmed or self.unconfirmed[0] is not batch:
            return None
        self.unconfirmed.popleft()
        if not self._permission_errors:
            return batch
        errors, self._permission_errors = self._permission_errors, {}
        return permitted(batch, errors, fail)

    def link_lost(self, just_confirmed: list[Batch]) -> list[Message]:
        """
        The connection ended: what is unconfirmed is to be sent again.

        :param just_confirmed: to be sent again, too.
        :return: the messages that may not be sent again.
        """
        self._to_resend += just_confirmed
        unresendable: list[Message] = []
        for batch in self.unconfirmed:
            if batch.all_resendable:
                self._to_resend.append(batch)
            else:
                resendable, others = _split_resendable(batch)
                self._to_resend.append(resendable.to_batch())
                unresendable += others
        self.unconfirmed.clear()
        self._permission_errors.clear()
        return unresendable

    def limit_payload(self, max_payload: int, fail: Fail) -> None:
        """Remove what the next server would not accept, before it is sent again."""
        self._to_resend = [_resendable_within(batch, max_payload, fail) for batch in self._to_resend]

    def take_to_resend(self) -> list[Batch]:
        """Remove and return the batches to write again, the oldest first."""
        to_resend, self._to_resend = self._to_resend, []
        return to_resend

    def clear(self) -> None:
        """Forget all batches."""
        self.unconfirmed.clear()
        self._to_resend.clear()
        self._permission_errors.clear()


def _is_resendable(confirmation: Confirmation | None) -> bool:
    return confirmation is None or confirmation.resendable


# -- filters: each keeps the order of the messages that it lets pass --------------------------------------------------


def _split_resendable(messages: Messages | Batch) -> tuple[Messages, list[Message]]:
    """Those that may be sent again, and those that may not."""
    resendable = Messages(messages.since)
    others: list[Message] = []
    for confirmation, command in messages:
        if _is_resendable(confirmation):
            resendable.add(confirmation, command)
        else:
            others.append((confirmation, command))
    return resendable, others


def sendable(messages: Messages | Batch, max_payload: int, fail: Fail) -> Messages:
    """Those that the server accepts, serialised unless the pool has yet to do it; the others fail."""
    passed = Messages(messages.since)
    for confirmation, command in messages:
        if type(command) is Unserialised and command.result is not None:
            if isinstance(command.result, Failure):
                fail(confirmation, command, command.result)
                continue
            command = command.result
        if type(command) is bytes and (size := read_pub(command).size) > max_payload:
            fail(confirmation, command, PayloadTooLargeError(size, max_payload))
        else:
            passed.add(confirmation, command)
    return passed


def resendable(batch: Batch) -> Batch:
    """Those of a batch that may be sent again."""
    return batch if batch.all_resendable else _split_resendable(batch)[0].to_batch()


def _resendable_within(batch: Batch, max_payload: int, fail: Fail) -> Batch:
    """Those of a batch that the server accepts; the others fail, unless they were confirmed already."""
    if batch.confirmations:
        return sendable(batch, max_payload, fail).to_batch()
    commands = (command for command in split_pubs(batch.data) if read_pub(command).size <= max_payload)
    return Batch([], b"".join(commands))


def permitted(batch: Batch, errors: Mapping[str, PermissionsError], fail: Fail) -> Batch:
    """
    Those that the server did not refuse; the others fail.

    :param errors: by the refused subject, which may be the reply subject of a message.
    """
    passed = Messages(batch.since)
    for confirmation, command in batch:
        error = next((errors[name] for name in read_pub(command).subjects if name in errors), None)
        if error is None:
            passed.add(confirmation, command)
        else:
            fail(confirmation, command, error)
    return passed.to_batch()
