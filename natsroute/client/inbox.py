"""An inbox: one subscription for the answers to everything that a connection asks."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Any

from natsroute.client.connection import Connection
from natsroute.client.subscription import Subscription
from natsroute.errors import PermissionsError, ServerError
from natsroute.wire.frames import Msg

#: What the subjects of an inbox begin with, unless the permissions of a user want another prefix.
DEFAULT_INBOX_PREFIX = "_INBOX"

_TOKEN_DIGITS = 16
_TOKENS_AT_ONCE = 128

#: Is given each message to one subject of an inbox.
Receiver = Callable[[Any], object]


class Inbox:
    """
    Reply subjects that nobody can guess, and what receives the messages to each.

    The subscription is made with the first reply subject, and lives as long as the connection. Nothing waits in it: a
    message is handed to its receiver or dropped as it arrives. While the connection changes from a server in lame duck
    mode to another one, both have the subscription, so that nothing is missed; a message may come twice then. All
    methods run in the reactor thread.

    :param prefix: what the subjects begin with.

    :ivar late: messages to reply subjects that were closed before, or never opened. They are dropped.
    """

    def __init__(self, connection: Connection, prefix: str = DEFAULT_INBOX_PREFIX) -> None:
        self.late = 0
        self._connection = connection
        self._prefix = prefix
        self._base = f"{prefix}.{token_hex(11)}."
        self._receivers: dict[str, Receiver] = {}  # by reply subject
        self._tokens: list[str] = []
        self._subscription: Subscription | None = None

    def open(self, receiver: Receiver) -> str:
        """
        A new reply subject.

        :param receiver: is called with each message to it, until :meth:`close`. It runs while data is received, so it
            must not block; an exception is logged.
        """
        if self._subscription is None:
            self._subscription = self._connection.subscribe(f"{self._base}*", self._received)
            self._subscription.overlaps = True
        if not self._tokens:  # a call of the operating system for each token would cost more than everything else
            digits = token_hex(_TOKEN_DIGITS // 2 * _TOKENS_AT_ONCE)
            self._tokens = [digits[start : start + _TOKEN_DIGITS] for start in range(0, len(digits), _TOKEN_DIGITS)]
        reply = self._base + self._tokens.pop()
        self._receivers[reply] = receiver
        return reply

    def close(self, reply: str) -> None:
        """Drop what comes to a reply subject from now on."""
        self._receivers.pop(reply, None)

    @property
    def refused(self) -> ServerError | None:
        """Why the server does not send what comes to the reply subjects, or None. It is asked again after a while."""
        error = None if self._subscription is None else self._subscription.refused
        if isinstance(error, PermissionsError):
            text = f"{error.text}. Allow the user to subscribe to {self._prefix}.>, or set inbox_prefix to what it may"
            return PermissionsError(text, error.operation, error.subject, error.queue_group)
        return error

    def __len__(self) -> int:
        """The number of open reply subjects."""
        return len(self._receivers)

    def _received(self, msg: Msg) -> None:
        receiver = self._receivers.get(msg.address.subject)
        if receiver is None:
            self.late += 1
        else:
            receiver(msg)
