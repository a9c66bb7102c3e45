"""Which of some messages may go on their way; the rest is lost, and told so."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.python.failure import Failure

from natsroute.errors import ConnectionLostError, PayloadTooLargeError, PermissionsError
from natsroute.publishing.batches import Batch, Messages, Unserialised, is_kept, messages_of
from natsroute.publishing.losses import Failures
from natsroute.wire.encoder import read_pub, split_pubs


def sendable(messages: Messages | Batch, max_payload: int, losses: Failures) -> Messages:
    """What may be sent, and not what could not be made or is too large for the server."""
    passed = Messages(messages.since)
    for confirmation, command in messages:
        if type(command) is Unserialised and command.made is not None:
            if isinstance(command.made, Failure):
                losses.fail(confirmation, command, command.made)
                continue
            command = command.made
        if type(command) is bytes and (size := read_pub(command).size) > max_payload:
            losses.fail(confirmation, command, PayloadTooLargeError(size, max_payload))
        else:
            passed.add(confirmation, command)
    return passed


def fitting(batch: Batch, max_payload: int, losses: Failures) -> Batch:
    """What may be sent again to a server with a lower limit."""
    if batch.confirmations:
        return sendable(batch, max_payload, losses).as_batch()
    # It was confirmed already: there is nobody to tell of what is left out.
    commands = (each for each in split_pubs(batch.data) if read_pub(each).size <= max_payload)
    return Batch([], b"".join(commands), batch.since)


def kept(messages: Messages | Batch, lost: str, losses: Failures) -> Messages:
    """
    What waits for the next connection, and not what may not be sent again.

    :param lost: why there is a next one.
    """
    if isinstance(messages, Messages) and messages.all_kept:
        return messages
    ours = list(messages)
    losses.fail_all((one for one in ours if not is_kept(one[0])), lambda: ConnectionLostError(lost))
    return messages_of((one for one in ours if is_kept(one[0])), messages.since)


def permitted(batch: Batch, errors: Mapping[str, PermissionsError], losses: Failures) -> Batch:
    """
    What the server did not refuse.

    :param errors: by subject or reply subject.
    """
    taken = Messages(batch.since)
    for confirmation, command in batch:
        names = read_pub(command).subjects if type(command) is bytes else []
        error = next((errors[name] for name in names if name in errors), None)
        if error is None:
            taken.add(confirmation, command)
        else:
            losses.fail(confirmation, command, error)
    return taken.as_batch()
