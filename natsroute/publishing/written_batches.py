"""Batches that were written: which are confirmed, which are sent again, and which message a server does not take."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from natsroute.errors import (
    AuthorizationError,
    ConnectionLimitError,
    PermissionsError,
    PublishError,
    ServerError,
    ServerLeftError,
    ServerShutdownError,
    SlowConsumerError,
    StaleConnectionError,
)
from natsroute.publishing.batches import (
    Batch,
    Fail,
    Message,
    Messages,
    ServerLimits,
    resendable_within,
    split_resendable,
)
from natsroute.wire.encoder import read_pub

#: So many connections have to end over a batch until it is divided, and as many more over a single message until that
#: fails although the server has not said why it closes the connection.
MAX_LOST_CONNECTIONS = 3

#: Reasons for the end of a connection that no message is to blame for.
_OTHER_REASONS = (
    AuthorizationError,
    ConnectionLimitError,
    ServerLeftError,
    ServerShutdownError,
    SlowConsumerError,
    StaleConnectionError,
)


class WrittenBatches:
    """
    Batches that were written and are not confirmed, and what the server refused of them.

    Usually all batches are written one after the other, and are written again in the same way after a lost connection.
    There are two exceptions:

    - The server refuses a message, and it is not certain which one of its batch. Then each message of the batch is sent
      again as a batch of its own. The server answers in order, so it is certain then.
    - Several connections end over the same batch. Then it is divided, and each part is written alone: the next batch
      waits for its confirmation. A part over which the connection ends is divided again. A single message fails.

    :ivar unconfirmed: those on the current connection, the oldest first.
    """

    __slots__ = ("_errors", "_to_resend", "unconfirmed")

    def __init__(self) -> None:
        self.unconfirmed: deque[Batch] = deque()
        self._to_resend: deque[Batch] = deque()
        self._errors: list[ServerError] = []  # about the oldest unconfirmed batch

    def __iter__(self) -> Iterator[Batch]:
        """The oldest first."""
        yield from self.unconfirmed
        yield from self._to_resend

    @property
    def holds_back(self) -> bool:
        """Whether new messages must wait, because of messages that are sent again."""
        return bool(self._to_resend) or (bool(self.unconfirmed) and _is_suspect(self.unconfirmed[-1]))

    @property
    def has_to_resend(self) -> bool:
        """Whether batches wait for :meth:`next_to_resend`."""
        return bool(self._to_resend)

    def add(self, batch: Batch) -> None:
        """A batch was written."""
        self.unconfirmed.append(batch)

    def refused(self, error: ServerError) -> None:
        """
        The server sent an error and keeps the connection. It answers in order, so the error is about the oldest
        unconfirmed batch, whose PONG comes next, unless it is about something else than a message.
        """
        if isinstance(error, PermissionsError):
            if error.operation not in ("publish", "reply"):
                return
        elif type(error) is not ServerError:  # the kinds that we know do not refuse a message, but end the connection
            return
        if self.unconfirmed and len(self._errors) <= len(self.unconfirmed[0].confirmations) > 0:
            self._errors.append(error)  # bounded: one more than there are messages shows already that they do not fit

    def confirm(self, batch: Batch, fail: Fail) -> Batch | None:
        """
        The PONG of a batch arrived.

        :return: the batch without the messages that the server refused, or may have refused; None if it was abandoned
            meanwhile.
        """
        if not self.unconfirmed or self.unconfirmed[0] is not batch:
            self._errors.clear()
            return None
        self.unconfirmed.popleft()
        if not self._errors:
            return batch
        errors, self._errors = self._errors, []
        refused = attribute(batch, errors)
        if refused is not None:
            return _without(batch, refused, fail)
        self._send_apart(batch, errors[0], fail)
        return Batch([], b"")

    def _send_apart(self, batch: Batch, error: ServerError, fail: Fail) -> None:
        """Send each message of a batch again, in a batch of its own. Those that may not be sent again fail."""
        messages, unresendable = split_resendable(batch)
        reason = (
            f"the server refused a message, and it is not certain which one: {error.text}. The policy of this "
            "message is 'fail', so it is not sent again to find out"
        )
        for confirmation, command in unresendable:
            fail(confirmation, command, PublishError(reason))
        self._to_resend.extendleft(reversed(messages.to_batch().parts(1)))

    def link_lost(self, just_confirmed: list[Batch], reason: Exception | None, fail: Fail) -> list[Message]:
        """
        The connection ended: what is unconfirmed is to be sent again, before what waits for that already.

        :param just_confirmed: to be sent again, too, and first.
        :param reason: why the connection ended; None if we ended it.
        :return: the messages that may not be sent again.
        """
        unresendable: list[Message] = []
        to_resend = deque(just_confirmed)
        is_oldest_suspect = reason is not None and not isinstance(reason, _OTHER_REASONS)
        for batch in self.unconfirmed:
            if not batch.all_resendable:
                messages, others = split_resendable(batch)
                unresendable += others
                lost_connections, batch = batch.lost_connections, messages.to_batch()
                batch.lost_connections = lost_connections
            if is_oldest_suspect and batch.data:
                batch.lost_connections += 1
                to_resend += _divided(batch, reason, fail) if _is_suspect(batch) else [batch]
            else:
                to_resend.append(batch)
            is_oldest_suspect = False
        self._to_resend = to_resend + self._to_resend
        self.unconfirmed.clear()
        self._errors.clear()
        return unresendable

    def limit(self, limits: ServerLimits, fail: Fail) -> None:
        """Remove what the server does not take, before it is sent again."""
        self._to_resend = deque(resendable_within(batch, limits, fail) for batch in self._to_resend)

    def next_to_resend(self) -> Batch | None:
        """Remove and return the next batch to write again; None if there is none, or if it has to wait."""
        while self._to_resend and not self._to_resend[0].data:
            self._to_resend.popleft()
        if not self._to_resend:
            return None
        if self.unconfirmed and (_is_suspect(self._to_resend[0]) or _is_suspect(self.unconfirmed[-1])):
            return None
        return self._to_resend.popleft()

    def forget_confirmed(self, until: float) -> None:
        """Do not send again what was confirmed, and was published until then."""
        self._to_resend = deque(batch for batch in self._to_resend if batch.confirmations or batch.since > until)

    def clear(self) -> None:
        """Forget all batches."""
        self.unconfirmed.clear()
        self._to_resend.clear()
        self._errors.clear()


def _is_suspect(batch: Batch) -> bool:
    """Whether a batch is written alone."""
    return batch.lost_connections >= MAX_LOST_CONNECTIONS


def _divided(batch: Batch, reason: Exception | None, fail: Fail) -> list[Batch]:
    """The halves of a suspect batch, which are suspect, too. A message that was written alone may fail instead."""
    commands = len(batch.parts(1))
    if commands > 1:
        batch.lost_connections = MAX_LOST_CONNECTIONS
        return batch.parts((commands + 1) // 2)
    was_alone = batch.lost_connections > MAX_LOST_CONNECTIONS
    error: Exception | None = None
    if was_alone and isinstance(reason, ServerError):
        error = reason
    elif batch.lost_connections >= 2 * MAX_LOST_CONNECTIONS:
        error = PublishError(
            f"the connection ended {batch.lost_connections} times when this message was sent, the last "
            f"{MAX_LOST_CONNECTIONS} times while no other was on its way: {reason}"
        )
    if error is None:
        return [batch]
    for confirmation, command in batch:
        fail(confirmation, command, error)
    return []


def attribute(batch: Batch, errors: list[ServerError]) -> dict[int, ServerError] | None:
    """
    Find the messages that errors are about.

    A server names the subject after the mappings of the account, which need not be one of the batch. So it is certain
    only if each subject is named as often as the batch has messages to it, or with it as their reply subject.

    :return: the error of each refused message, by its position; None if it is not certain.
    """
    if len(batch.confirmations) == 1:
        return {0: errors[0]}
    by_subject = {(error.operation, error.subject): error for error in errors if isinstance(error, PermissionsError)}
    left = Counter(
        (error.operation, error.subject) if isinstance(error, PermissionsError) else None for error in errors
    )
    found: dict[int, ServerError] = {}
    for position, (_, command) in enumerate(batch):
        for name in zip(("publish", "reply"), read_pub(command).subjects):
            if name in by_subject:
                found[position] = by_subject[name]
                left[name] -= 1
                break
    return found if not any(left.values()) else None


def _without(batch: Batch, refused: dict[int, ServerError], fail: Fail) -> Batch:
    """The messages of a batch that were not refused; the others fail."""
    passed = Messages(batch.since)
    for position, (confirmation, command) in enumerate(batch):
        if position in refused:
            fail(confirmation, command, refused[position])
        else:
            passed.add(confirmation, command)
    return passed.to_batch()
