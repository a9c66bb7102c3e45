"""
Writes batches to the link, and decides when their PINGs are written.

A batch has its PING with it. In sparse traffic a PING and its PONG would cost as much as the message itself, for us and
for the server, and mostly nobody waits for them: an event route has published, or responded, and has dropped the
Deferred. So such a message is written without a PING, and one PING confirms all messages of two milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.publishing.batches import Batch
from natsroute.publishing.options import Link
from natsroute.publishing.written_batches import WrittenBatches

#: Seconds after which a PING is written for messages that nobody waits for, if no other PING was written before.
MAX_PING_DELAY = 0.002


class BatchWriter:
    """
    Writes the batches of a publish worker.

    :param written: gets each batch that is written.
    :param on_pong: called with a batch when the PONG of its PING arrives.
    """

    __slots__ = (
        "_clock",
        "_is_sparse",
        "_is_wanted",
        "_link",
        "_next_ping",
        "_on_pong",
        "_unpinged",
        "_written",
        "_wrote",
    )

    def __init__(
        self, link: Link, clock: IReactorTime, written: WrittenBatches, on_pong: Callable[[Batch], object]
    ) -> None:
        self._link = link
        self._clock = clock
        self._written = written
        self._on_pong = on_pong
        self._is_sparse = False  # the last write was of one message
        self._wrote: Batch | None = None  # the batch with the message that was written alone in this turn
        self._is_wanted = True  # somebody waited for the confirmation of the last message that was written alone
        self._unpinged: Batch | None = None  # the batch that has no PING yet; then no other one is unconfirmed
        self._next_ping: IDelayedCall | None = None

    @property
    def writes_alone(self) -> bool:
        """
        Whether the first message of a turn is written by :meth:`write_alone`, if no other one waits: traffic is sparse,
        so waiting for further messages gains nothing.
        """
        written = self._written
        return (
            self._is_sparse
            and not written.has_to_resend
            and len(written.unconfirmed) == (self._unpinged is not None)
            and self._link.max_payload is not None
        )

    def write_alone(self, batch: Batch) -> None:
        """Write a batch of one message. :meth:`end_turn` sees to its PING, if it is not written with it."""
        if self._is_wanted:
            self._wrote = self._write_and_ping(batch.data, 1, batch)
            return
        self._link.write(batch.data, 1, now=True)
        if self._unpinged is None:
            self._written.add(batch)
            self._unpinged = batch
        else:
            self._unpinged.extend(batch)
        self._wrote = self._unpinged

    def write(self, batch: Batch) -> None:
        """Write a batch and a PING."""
        data, messages = batch.data, len(batch.confirmations)
        if data:
            self._is_sparse = messages <= 1
            self._write_and_ping(data, messages, batch)

    def ping(self) -> None:
        """Write the PING that is missing, if there is one."""
        if self._unpinged is not None:
            self._write_and_ping(b"", 0, None)

    def end_turn(self) -> None:
        """Write the PING that is missing, if somebody waits for its PONG. If not, it may come later."""
        batch, self._wrote = self._wrote, None
        if batch is None:
            return
        batch.drop_abandoned()
        self._is_wanted = any(confirmation is not None for confirmation in batch.confirmations)
        if self._is_wanted:
            self.ping()
        elif self._unpinged is not None and self._next_ping is None:
            self._next_ping = self._clock.callLater(MAX_PING_DELAY, self._ping_late)

    def forget(self) -> None:
        """The connection has ended, or the batches were abandoned: no PING is missing."""
        self._unpinged = None
        if self._next_ping is not None:
            self._next_ping.cancel()
            self._next_ping = None

    def _ping_late(self) -> None:
        self._next_ping = None
        self.ping()

    def _write_and_ping(self, data: bytes, messages: int, batch: Batch | None) -> Batch:
        """
        Write data and a PING.

        :param batch: the messages of the data.
        :return: the batch that the PONG confirms: these messages, behind those that had no PING.
        """
        pinged = self._unpinged
        self.forget()
        if pinged is None:
            assert batch is not None
            pinged = batch
            self._written.add(batch)
        elif batch is not None:
            pinged.extend(batch)
        # When the connection is lost, the worker is told.
        self._link.write_and_ping(data, messages).addCallbacks(self._pong, lambda lost: None, callbackArgs=(pinged,))
        return pinged

    def _pong(self, _: None, batch: Batch) -> None:
        self._on_pong(batch)
