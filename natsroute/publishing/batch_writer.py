"""
Writes batches to the link, and decides when their PINGs are written.

A batch has its PING with it. In sparse traffic a PING and its PONG would cost as much as the message itself, for us and
for the server, and mostly nobody waits for them: an event route has published, or responded, and has dropped the
Deferred. So such a message is written without a PING, and one PING confirms all messages of two milliseconds. Somebody
who begins to wait gets the PING at once.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from natsroute.publishing.batches import Batch
from natsroute.publishing.options import Link
from natsroute.publishing.written_batches import WrittenBatches

#: Seconds after which a PING is written for messages that nobody waits for, if no other PING was written before.
MAX_PING_DELAY = 0.002

#: Seconds between two messages, from which on the second one is written alone. Those of one turn of the reactor are
#: closer together, as a rule.
MIN_GAP = 0.0001


class BatchWriter:
    """
    Writes the batches of a publish worker.

    :param written: gets each batch that is written.
    :param on_pong: called with a batch when the PONG of its PING arrives.
    :param late_pings: has all writers whose :meth:`ping` would write a PING.
    """

    __slots__ = (
        "_awaited",
        "_clock",
        "_is_sparse",
        "_last",
        "_late_pings",
        "_link",
        "_next_ping",
        "_on_pong",
        "_unpinged",
        "_written",
        "_wrote_at",
    )

    def __init__(
        self,
        link: Link,
        clock: IReactorTime,
        written: WrittenBatches,
        on_pong: Callable[[Batch], object],
        late_pings: set[BatchWriter],
    ) -> None:
        self._link = link
        self._clock = clock
        self._written = written
        self._on_pong = on_pong
        self._late_pings = late_pings
        self._is_sparse = False  # the last write was of one message
        self._wrote_at = float("-inf")  # when the last message was written alone
        self._last: Batch | None = None  # the batch that it belongs to, until its PONG
        self._awaited = True  # somebody waited for its confirmation, as far as we know
        self._unpinged: Batch | None = None  # the batch that has no PING yet; then no other one is unconfirmed
        self._next_ping: IDelayedCall | None = None

    def writes_alone(self, now: float) -> bool:
        """
        Whether the first message of a turn is written by :meth:`write_alone`, if no other one waits: traffic is sparse,
        so waiting for further messages gains nothing.
        """
        written = self._written
        return (
            self._is_sparse
            and now - self._wrote_at >= MIN_GAP
            and not written.has_to_resend
            and len(written.unconfirmed) == (self._unpinged is not None)
            and self._link.max_payload is not None
        )

    def write_alone(self, batch: Batch, now: float) -> None:
        """Write a batch of one message. Its PING may come later, if it is likely that nobody waits for it."""
        self._wrote_at = now
        if self._is_awaited(batch):
            self._last = self._write_and_ping(batch, 1)
            return
        self._link.write(batch.data, 1, now=True)
        if self._unpinged is None:
            self._written.add(batch)
            self._unpinged = batch
            self._late_pings.add(self)
            self._next_ping = self._clock.callLater(MAX_PING_DELAY, self._ping_late)
        else:
            self._unpinged.extend(batch)
        self._last = self._unpinged

    def _is_awaited(self, batch: Batch) -> bool:
        """Whether somebody waits for the confirmation of a message, or did for that of the message before."""
        if self._last is not None:
            self._look(self._last)
        [confirmation] = batch.confirmations
        return self._awaited or confirmation is None or confirmation.has_callbacks or not batch.all_resendable

    def _look(self, batch: Batch) -> None:
        batch.drop_abandoned()
        self._awaited = any(confirmation is not None for confirmation in batch.confirmations)

    def write(self, batch: Batch) -> None:
        """Write a batch and a PING."""
        if batch.data:
            messages = len(batch.confirmations)
            self._is_sparse = messages <= 1
            self._write_and_ping(batch, messages)

    def ping(self) -> None:
        """Write the PING that is missing, if there is one."""
        unpinged = self._take_unpinged()
        if unpinged is not None:
            self._link.write_and_ping(b"", 0).addCallbacks(self._pong, _lost, callbackArgs=(unpinged,))

    def forget(self) -> None:
        """The connection has ended: no PING is missing."""
        self._last = None
        self._take_unpinged()

    def _take_unpinged(self) -> Batch | None:
        batch, self._unpinged = self._unpinged, None
        self._late_pings.discard(self)
        if self._next_ping is not None:
            self._next_ping.cancel()
            self._next_ping = None
        return batch

    def _ping_late(self) -> None:
        self._next_ping = None
        self.ping()

    def _write_and_ping(self, batch: Batch, messages: int) -> Batch:
        """
        Write a batch and a PING.

        :return: the batch that the PONG confirms: this one, or an earlier one without PING that has its messages now.
        """
        pinged = self._take_unpinged()
        if pinged is None:
            pinged = batch
            self._written.add(batch)
        else:
            pinged.extend(batch)
        self._link.write_and_ping(batch.data, messages).addCallbacks(self._pong, _lost, callbackArgs=(pinged,))
        return pinged

    def _pong(self, _: None, batch: Batch) -> None:
        if batch is self._last:
            self._look(batch)
            self._last = None  # which would keep Deferreds that have failed, so that nobody would log them
        self._on_pong(batch)


def _lost(failure: Failure) -> None:
    """The connection ended before the PONG. The owner of the worker notifies it."""
