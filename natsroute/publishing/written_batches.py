"""Batches that were written: which are confirmed, which are sent again, and which message a server does not take."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IReactorTime

from natsroute.errors import PermissionsError, PublishError, ServerError
from natsroute.publishing.batches import (
    Batch,
    Fail,
    FailLater,
    Message,
    Messages,
    ServerLimits,
    has_resendable,
    resendable_within,
    split_resendable,
)
from natsroute.publishing.suspicion import MAX_LOST_CONNECTIONS, Suspicion
from natsroute.wire.encoder import read_pub, split_pubs


class WrittenBatches:
    """
    Batches that were written and are not confirmed, and what the server refused of them.

    Usually all batches are written one after the other, and are written again in the same way after a lost connection.
    There are two exceptions:

    - The server refuses a message, and it is not certain which one of its batch. Then each message of the batch is sent
      again as a batch of its own. The server answers in order, so it is certain then.
    - Several connections end because of the same batch: see :class:`~natsroute.publishing.suspicion.Suspicion`. Then it
      is divided, and each part is written alone: the next batch waits for its confirmation. A part that ends a
      connection is divided again. A single message fails.

    :ivar unconfirmed: those on the current connection, the oldest first.

    :param on_passed: called by :meth:`confirm` with messages that the server has, before a later message of the same
        batch fails. So the order is kept.
    """

    __slots__ = (
        "_clock",
        "_errors",
        "_on_passed",
        "_out_of_order",
        "_server_id",
        "_to_resend",
        "_written_alone_at",
        "unconfirmed",
    )

    def __init__(self, clock: IReactorTime, on_passed: Callable[[Batch], object]) -> None:
        self._clock = clock
        self._on_passed = on_passed
        self._server_id = ""
        self._written_alone_at = 0.0
        self.unconfirmed: deque[Batch] = deque()
        self._to_resend: deque[Batch] = deque()
        self._out_of_order = 0  # batches up to the last one that has a younger one before it; not less than there are
        self._errors: list[ServerError] = []  # about the oldest unconfirmed batch

    def __iter__(self) -> Iterator[Batch]:
        """The oldest first."""
        yield from self.unconfirmed
        yield from self._to_resend

    @property
    def oldest(self) -> float | None:
        """When the oldest message was published that is not confirmed on this connection; None if there is none."""
        return next((batch.since for batch in self.unconfirmed if batch.confirmations), None)

    @property
    def is_in_order(self) -> bool:
        """
        Whether no batch is younger than one behind it. Those of a batch that was refused stand behind younger ones
        until they are confirmed.
        """
        return not self._out_of_order

    @property
    def holds_back(self) -> bool:
        """Whether new messages must wait, because of messages that are sent again."""
        return bool(self._to_resend) or (bool(self.unconfirmed) and _is_alone(self.unconfirmed[-1]))

    @property
    def has_to_resend(self) -> bool:
        """Whether batches wait for :meth:`next_to_resend`."""
        return bool(self._to_resend)

    def add(self, batch: Batch) -> None:
        """A batch was written."""
        self.unconfirmed.append(batch)
        if batch.suspicion is not None:
            self._written_alone_at = self._clock.seconds()

    def connected(self, server_id: str, fail: Fail) -> None:
        """
        There is a connection. Call this before batches are written to it.

        :param server_id: from the INFO of the server. It is another one after each start of the server.
        """
        self._server_id = server_id
        if all(batch.suspicion is None for batch in self._to_resend):
            return
        to_resend: deque[Batch] = deque()
        for batch in self._to_resend:
            reason = None if batch.suspicion is None else batch.suspicion.connected(server_id)
            to_resend += [batch] if reason is None else _divided(batch, reason, fail)
        self._to_resend = to_resend
        self._stays_out_of_order()

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

        :param fail: called with each message that the server refused.
        :return: the rest of the batch, or all of it, without the messages that the server refused, or may have refused;
            None if it was abandoned meanwhile.
        """
        if not self.unconfirmed or self.unconfirmed[0] is not batch:
            self._errors.clear()
            return None
        self.unconfirmed.popleft()
        if self._out_of_order:
            self._out_of_order -= 1
        if not self._errors:
            return batch
        errors, self._errors = self._errors, []
        refused = attribute(batch, errors)
        if refused is not None:
            return _without(batch, refused, fail, self._on_passed)
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
        self._out_of_order = len(self.unconfirmed) + len(self._to_resend)

    def _stays_out_of_order(self) -> None:
        """If batches were not in order, they are not now, after some were added or divided."""
        if self._out_of_order:
            self._out_of_order = len(self.unconfirmed) + len(self._to_resend)

    def link_lost(
        self, just_confirmed: list[Batch], reason: Exception | None, fail: Fail
    ) -> list[Batch | list[Message]]:
        """
        The connection ended: what is unconfirmed is to be sent again, before what waits for that already.

        :param just_confirmed: to be sent again, too, and first.
        :param reason: why the connection ended; None if we ended it.
        :return: the messages that may not be sent again.
        """
        unresendable: list[Batch | list[Message]] = []
        to_resend = deque(just_confirmed)
        is_oldest = True
        for batch in self.unconfirmed:
            if not has_resendable(batch):
                unresendable.append(batch)
                batch = Batch([], b"")
            elif not batch.all_resendable:
                messages, others = split_resendable(batch)
                unresendable.append(others)
                suspicion, batch = batch.suspicion, messages.to_batch()
                batch.suspicion = suspicion
            to_resend += self._over_lost(batch, reason, fail) if is_oldest and batch.data else [batch]
            is_oldest = False
        self._to_resend = to_resend + self._to_resend
        self.unconfirmed.clear()
        self._errors.clear()
        self._stays_out_of_order()
        return unresendable

    def _over_lost(self, batch: Batch, reason: Exception | None, fail: Fail) -> list[Batch]:
        """What becomes of the oldest unconfirmed batch when the connection ended."""
        if batch.suspicion is None:
            batch.suspicion = Suspicion()
        counts = batch.suspicion.lost(reason, self._server_id, self._clock.seconds() - self._written_alone_at)
        return _divided(batch, reason, fail) if counts else [batch]

    def limit(self, limits: ServerLimits, fail: FailLater) -> None:
        """Remove what the server does not take, before it is sent again."""
        self._to_resend = deque(resendable_within(batch, limits, fail) for batch in self._to_resend)

    def next_to_resend(self) -> Batch | None:
        """Remove and return the next batch to write again; None if there is none, or if it has to wait."""
        while self._to_resend and not self._to_resend[0].data:
            self._to_resend.popleft()
        if not self._to_resend:
            return None
        if self.unconfirmed and (_is_alone(self._to_resend[0]) or _is_alone(self.unconfirmed[-1])):
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
        self._out_of_order = 0


def _is_alone(batch: Batch) -> bool:
    """Whether a batch is written alone."""
    return batch.suspicion is not None and batch.suspicion.is_alone


def _divided(batch: Batch, reason: Exception | None, fail: Fail) -> list[Batch]:
    """
    What becomes of a batch when one more lost connection counts against it: after the third, its halves are written
    alone. A message that was written alone may fail instead.
    """
    suspicion = batch.suspicion
    assert suspicion is not None
    if suspicion.lost_connections < MAX_LOST_CONNECTIONS:
        return [batch]
    if batch.messages > 1:
        halves = batch.parts((batch.messages + 1) // 2)
        for half in halves:
            half.suspicion = Suspicion(MAX_LOST_CONNECTIONS, is_alone=True)
        return halves
    was_alone = suspicion.lost_connections > MAX_LOST_CONNECTIONS
    error: Exception | None = None
    if was_alone and isinstance(reason, ServerError):
        error = reason
    elif suspicion.lost_connections >= 2 * MAX_LOST_CONNECTIONS:
        error = PublishError(
            f"the connection ended {suspicion.lost_connections} times when this message was sent, the last "
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
    names = {subject.encode("utf-8", "surrogateescape") for _, subject in by_subject}
    found: dict[int, ServerError] = {}
    for position, command in enumerate(split_pubs(batch.data)):
        if names.isdisjoint(command[: command.index(b"\r\n")].split(b" ")):
            continue  # mostly, and the rest takes five times as long
        for name in zip(("publish", "reply"), read_pub(command).subjects):
            if name in by_subject:
                found[position] = by_subject[name]
                left[name] -= 1
                break
    return found if not any(left.values()) else None


def _without(batch: Batch, refused: dict[int, ServerError], fail: Fail, on_passed: Callable[[Batch], object]) -> Batch:
    """The messages of a batch behind the last one that was refused. See :meth:`WrittenBatches.confirm`."""
    passed = Messages(batch.since)
    for position, (confirmation, command) in enumerate(batch):
        if position in refused:
            if passed.commands:
                on_passed(passed.to_batch())
                passed = Messages(batch.since)
            fail(confirmation, command, refused[position])
        else:
            passed.add(confirmation, command)
    return passed.to_batch()
