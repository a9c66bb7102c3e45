"""
Messages on their way to the server, and the filters that take out those that cannot go on.

Thousands are on their way at any moment, so they are kept in few objects: :class:`Messages` until they are written,
:class:`Batch` from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import attrs
from twisted.python.failure import Failure

from natsroute.confirmation import Confirmation
from natsroute.errors import HeaderError, PayloadTooLargeError
from natsroute.hot import drop_abandoned
from natsroute.publishing.suspicion import Suspicion
from natsroute.wire.encoder import split_pubs
from natsroute.wire.headers import NO_HEADERS

#: Messages that are written together at most. Loops over one batch are not interrupted, and take a few microseconds for
#: each message; loops over the batches of a full buffer do it in turns, or take much less.
MAX_BATCH = 1000


class Unserialised:
    """
    A command whose payload the thread pool has to serialise first.

    :ivar subject: the subject of its message.
    :ivar result: the command, or what was raised; None until :meth:`serialise` has run.
    :param factory: gives the command.
    :param size: bytes of the command without its payload.
    """

    __slots__ = ("_factory", "_size", "result", "subject")

    def __init__(self, subject: str, factory: Callable[[], bytes], size: int = 0) -> None:
        self.subject = subject
        self.result: bytes | Failure | None = None
        self._factory = factory
        self._size = size

    def serialise(self) -> None:
        """Call the factory. Runs in a thread of the pool."""
        try:
            self.result = self._factory()
        except BaseException:
            self.result = Failure()

    @property
    def growth(self) -> int:
        """Bytes that the result has more than the command without its payload."""
        return len(self.result) - self._size if isinstance(self.result, bytes) else 0

    def __len__(self) -> int:
        """Bytes of the command without its payload."""
        return self._size


def serialise(commands: list[Unserialised], space: int) -> None:
    """
    Serialise commands until the space is used up; at least one. Runs in a thread of the pool.

    The traceback of a payload that raises keeps what is here, so this has no Deferreds.

    :param space: bytes.
    """
    for command in commands:
        command.serialise()
        space -= command.growth
        if space <= 0:
            return


#: A ``PUB`` or ``HPUB`` with its payload.
Command = bytes | Unserialised

#: A message, and its Deferred; None in its place if it is abandoned.
Message = tuple[Confirmation | None, Command]

#: Fails a message: its Deferred, its command, and the error.
Fail = Callable[[Confirmation | None, Command, Exception | Failure], None]

#: Fails messages, with what makes the error of each from its command. There may be tens of thousands, and to make the
#: errors takes longer than all else, so that is done when the Deferreds fail.
FailLater = Callable[[list[Message], Callable[[Command], Exception | Failure]], None]


class _Unconfirmed:
    """What messages have in common before and after they are written."""

    __slots__ = ()

    confirmations: list[Confirmation | None]
    all_resendable: bool

    def drop_abandoned(self) -> None:
        """Replace the Deferreds that nobody has any more by None."""
        if self.all_resendable:  # otherwise the Deferred is needed to know whether its message may
            drop_abandoned(self.confirmations)


class Messages(_Unconfirmed):
    """
    Messages that are not written yet.

    :ivar confirmations: their Deferreds.
    :ivar commands: their commands, in the same order. An entry may have several of them, one behind the other.
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
        self._split()
        return zip(self.confirmations, self.commands)

    def _split(self) -> None:
        """Give each command an entry of its own."""
        if len(self.commands) != len(self.confirmations):
            self.commands[:] = [
                command
                for entry in self.commands
                for command in ((entry,) if type(entry) is Unserialised else split_pubs(cast("bytes", entry)))
            ]

    def add(self, confirmation: Confirmation | None, command: Command) -> None:
        """Append a message."""
        self.confirmations.append(confirmation)
        self.commands.append(command)
        if type(command) is Unserialised:
            self.unserialised.append(command)
        if not _is_resendable(confirmation):
            self.all_resendable = False

    def may_take(self, others: Messages, max_age_difference: float) -> bool:
        """Whether later messages may be written together with these: they expire together."""
        count = len(self.confirmations) + len(others.confirmations)
        return others.since - self.since <= max_age_difference and count <= MAX_BATCH

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
        resendable, others = split_resendable(self)
        self._become(resendable)
        return others

    def take_cancelled(self) -> list[Message]:
        """Remove and return the messages whose Deferreds were cancelled."""
        if not any(one.called for one in self.confirmations if one is not None):
            return []
        cancelled = [message for message in self if message[0] is not None and message[0].called]
        if cancelled:
            kept = Messages(self.since)
            for confirmation, command in self:
                if confirmation is None or not confirmation.called:
                    kept.add(confirmation, command)
            self._become(kept)
        return cancelled

    def take_unserialised(self) -> Messages:
        """Remove and return the messages from the first one on that is unserialised still."""
        rest = Messages(self.since)
        number = next((at for at, one in enumerate(self.unserialised) if one.result is None), None)
        if number is not None:
            self._split()
            position = self.commands.index(self.unserialised[number])
            rest.confirmations, rest.commands = self.confirmations[position:], self.commands[position:]
            del self.confirmations[position:], self.commands[position:]
            rest.unserialised, self.unserialised = self.unserialised[number:], self.unserialised[:number]
            rest.all_resendable = self.all_resendable
        return rest

    def _become(self, others: Messages) -> None:
        # The lists stay the same ones: a tray may have them, too.
        self.confirmations[:], self.commands[:] = others.confirmations, others.commands
        self.unserialised, self.all_resendable = others.unserialised, others.all_resendable

    def to_batch(self) -> Batch:
        """The batch to write. All commands must be bytes."""
        data = b"".join(cast("list[bytes]", self.commands))
        return Batch(self.confirmations, data, self.since, self.all_resendable)


@attrs.define(eq=False, weakref_slot=False)
class Batch(_Unconfirmed):
    """
    Messages that were written together, with one PING after them.

    :ivar confirmations: their Deferreds; empty for messages that are sent again although the server confirmed them.
    :ivar data: their commands, joined.
    :ivar since: when the first was published, on the reactor's clock.
    :ivar all_resendable: whether all of them may be sent again.
    :ivar suspicion: whether connections end because of it; None until one has ended over it.
    """

    confirmations: list[Confirmation | None]
    data: bytes
    since: float = 0.0
    all_resendable: bool = True
    suspicion: Suspicion | None = None

    def __iter__(self) -> Iterator[tuple[Confirmation | None, bytes]]:
        return zip(self.confirmations, split_pubs(self.data))

    def parts(self, size: int) -> list[Batch]:
        """
        Divide it. All messages must be resendable.

        :param size: messages of each part.
        """
        commands = list(split_pubs(self.data))
        return [
            Batch(self.confirmations[at : at + size], b"".join(commands[at : at + size]), self.since)
            for at in range(0, len(commands), size)
        ]

    @property
    def messages(self) -> int:
        """How many messages it has."""
        return len(self.confirmations) or sum(1 for _ in split_pubs(self.data))

    def extend(self, others: Batch) -> None:
        """Append messages that were written behind these, and have the same PING."""
        self.confirmations += others.confirmations
        self.data += others.data
        self.all_resendable = self.all_resendable and others.all_resendable

    def take(self) -> Batch:
        """Remove messages that have failed; gives them. The batch stays in line, since its PONG may still come."""
        taken = Batch(self.confirmations, self.data)
        self.clear()
        return taken

    def clear(self) -> None:
        """Forget all messages."""
        self.confirmations, self.data = [], b""


def _is_resendable(confirmation: Confirmation | None) -> bool:
    return confirmation is None or confirmation.resendable


# -- filters: each keeps the order of the messages that it lets pass --------------------------------------------------


def split_resendable(messages: Messages | Batch) -> tuple[Messages, list[Message]]:
    """Those that may be sent again, and those that may not."""
    resendable = Messages(messages.since)
    others: list[Message] = []
    for confirmation, command in messages:
        if _is_resendable(confirmation):
            resendable.add(confirmation, command)
        else:
            others.append((confirmation, command))
    return resendable, others


def _size(command: bytes) -> int:
    """Bytes of the payload and headers of a command."""
    return len(command) - command.index(b"\r\n") - 4


@attrs.frozen
class ServerLimits:
    """
    Which messages a server takes.

    :ivar max_payload: bytes of headers and payload.
    :ivar headers: whether it supports headers.
    """

    max_payload: int
    headers: bool

    def takes(self, command: bytes) -> bool:
        """Whether the server keeps the connection if this is sent."""
        if len(command) > self.max_payload and _size(command) > self.max_payload:
            return False
        return self.headers or not command.startswith(b"HPUB")

    def error(self, command: Command) -> Exception | Failure:
        """Why a command cannot be sent: its payload has raised something, or the server does not take it."""
        if isinstance(command, Unserialised):
            failure, command.result = command.result, None  # whose traceback has the command
            assert isinstance(failure, Failure)
            return failure
        size = _size(command)
        return PayloadTooLargeError(size, self.max_payload) if size > self.max_payload else HeaderError(NO_HEADERS)

    def takes_all(self, longest: int) -> bool:
        """
        Whether it is certain, without a look at each of them, that the server takes all messages of a batch.

        :param longest: bytes of the longest command, or more.
        """
        return self.headers and longest <= self.max_payload

    def is_stricter_than(self, other: ServerLimits) -> bool:
        """Whether messages that the other takes are refused."""
        return self.max_payload < other.max_payload or self.headers < other.headers


def sendable(messages: Messages, limits: ServerLimits, fail: FailLater) -> Messages:
    """
    Those that the server takes, serialised unless the pool has yet to do it; the others fail.

    :param messages: left empty, unless they are returned. A caller may still have them when the others fail, and a
        Deferred that nobody else has must be gone then: its failure is logged when it goes.
    """
    if not messages.unserialised and limits.takes_all(max(map(len, messages.commands), default=0)):
        return messages
    passed = Messages(messages.since)
    failed: list[Message] = []
    for confirmation, command in messages:
        if type(command) is Unserialised and command.result is not None:
            if isinstance(command.result, Failure):
                failed.append((confirmation, command))
                continue
            command = command.result
        if type(command) is bytes and not limits.takes(command):
            failed.append((confirmation, command))
        else:
            passed.add(confirmation, command)
    messages.confirmations.clear()
    messages.commands.clear()
    if failed:
        fail(failed, limits.error)
    return passed


def has_resendable(batch: Batch) -> bool:
    """Whether at least one message may be sent again."""
    return batch.all_resendable or any(map(_is_resendable, batch.confirmations))


def resendable(batch: Batch) -> Batch:
    """Those of a batch that may be sent again."""
    return batch if batch.all_resendable else split_resendable(batch)[0].to_batch()


def resendable_within(batch: Batch, limits: ServerLimits, fail: FailLater) -> Batch:
    """Those of a batch that the server takes; the others fail, unless they were confirmed already."""
    if limits.takes_all(len(batch.data)):
        return batch
    commands = [*split_pubs(batch.data)]
    if limits.takes_all(max(map(len, commands), default=0)):
        return batch
    if batch.confirmations:
        messages = Messages(batch.since)
        messages.confirmations, messages.commands = batch.confirmations, [*commands]
        passed = sendable(messages, limits, fail).to_batch()
    else:
        passed = Batch([], b"".join(command for command in commands if limits.takes(command)), batch.since)
    passed.suspicion = batch.suspicion
    return passed
