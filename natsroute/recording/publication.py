"""Publishes the messages of a recording, byte for byte, and counts what the server has confirmed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from natsroute.errors import HeaderError, NatsrouteError, PayloadTooLargeError
from natsroute.recording.format import Recorded
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Info

#: Bytes that are written and not confirmed. Above that, the next message waits.
MAX_UNCONFIRMED = 4 * 1024 * 1024
# Bytes that are written at once.
_BATCH = 64 * 1024


class Link(Protocol):
    """A connection, as far as it publishes."""

    @property
    def info(self) -> Info | None:
        """The INFO of the connected server, or None."""

    def write_and_ping(self, data: bytes, messages: int) -> Deferred[None]:
        """Write commands; fires when the server has them, and fails if the connection is lost first."""


class Publication:
    """
    Publishes over one connection, in order. A message is never sent twice: after a lost connection, nobody knows which
    of the unconfirmed ones the server has.

    :param on_refused: called with the number of a line and the reason, for a message that the server does not take: it
        is too large, or has headers that the server does not support.

    :ivar confirmed: messages that the server has.
    :ivar refused: messages that it does not take, and that were not sent.
    """

    def __init__(self, clock: Any, link: Link, on_refused: Callable[[int, NatsrouteError], None]) -> None:
        self.confirmed = self.refused = 0
        self._clock = clock
        self._link = link
        self._on_refused = on_refused
        self._commands: list[bytes] = []
        self._size = 0  # of these
        self._unconfirmed = 0  # bytes written
        self._write_soon: IDelayedCall | None = None
        self._failure: Failure | None = None
        self._space: Deferred[None] | None = None
        self._all: Deferred[None] | None = None

    def play(self, number: int, message: Recorded) -> Deferred[None] | None:
        """
        Publish a message.

        :param number: the number of its line.
        :return: None if the next one may follow at once; else a Deferred that fires when it may, or fails as
            :meth:`end`.
        :raises NatsrouteError: the connection was lost.
        """
        self._raise_failure()
        problem = self._problem(message)
        if problem is not None:
            self.refused += 1
            self._on_refused(number, problem)
            return None
        command = encode_pub(message.subject, message.payload, message.reply, message.header_block)
        self._commands.append(command)
        self._size += len(command)
        if self._size >= _BATCH:
            self._write()
        elif self._write_soon is None:
            self._write_soon = self._clock.callLater(0, self._write)
        if self._unconfirmed + self._size < MAX_UNCONFIRMED:
            return None
        self._space = Deferred()
        return self._space

    def end(self) -> Deferred[None]:
        """
        Wait for all confirmations.

        :return: fires when the server has everything; fails if the connection is lost first.
        """
        self._all = ended = Deferred[None]()
        if self._commands:
            self._write()
        self._fire()
        return ended

    def _problem(self, message: Recorded) -> NatsrouteError | None:
        info = self._link.info
        size = len(message.payload) + len(message.header_block)
        if info is not None and size > info.max_payload:
            return PayloadTooLargeError(size, info.max_payload)
        if info is not None and message.header_block and not info.headers:
            return HeaderError("the server does not support headers")
        return None

    def _write(self) -> None:
        if self._write_soon is not None and self._write_soon.active():
            self._write_soon.cancel()
        self._write_soon = None
        commands, self._commands = self._commands, []
        size, self._size = self._size, 0
        self._unconfirmed += size
        confirmed = self._link.write_and_ping(b"".join(commands), len(commands))
        confirmed.addCallbacks(lambda _: self._on_confirmed(len(commands), size), self._on_lost)

    def _on_confirmed(self, messages: int, size: int) -> None:
        self.confirmed += messages
        self._unconfirmed -= size
        self._fire()

    def _on_lost(self, failure: Failure) -> None:
        if self._failure is None:
            text = (
                f"the connection was lost: {failure.getErrorMessage()}. What was not confirmed may be published or not"
            )
            self._failure = Failure(NatsrouteError(text))
        self._fire()

    def _fire(self) -> None:
        for name, done in (
            ("_space", self._unconfirmed + self._size < MAX_UNCONFIRMED),
            ("_all", not self._unconfirmed and not self._commands),
        ):
            waiting: Deferred[None] | None = getattr(self, name)
            if waiting is None or waiting.called:
                continue
            if self._failure is not None:
                setattr(self, name, None)
                waiting.errback(self._failure)
            elif done:
                setattr(self, name, None)
                waiting.callback(None)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._failure.raiseException()
