"""Pauses reads, and detects that the server cut us off because we did not read."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer, IReactorTime

from natsroute.errors import SlowConsumerError

#: Seconds without reading after which a lost connection is taken for one that the server cut off.
_SUSPICIOUS = 1.0


class FlowControl:
    """
    Pauses and resumes reading from a transport.

    A server that cuts off a slow consumer does not say why. So if the connection is lost after a long pause, and the
    server has not answered a PING since, the pause is assumed to be the cause. A server that died during the pause
    looks the same.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._pauses = 0
        self._paused_at: float | None = None
        self._unread_for = 0.0  # seconds of pauses after which the server has not yet shown that it is there

    @property
    def paused(self) -> bool:
        """Whether reading is paused."""
        return self._paused_at is not None

    def pause(self, transport: IPushProducer) -> None:
        """Stop reading."""
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()
            transport.pauseProducing()

    def resume(self, transport: IPushProducer) -> int | None:
        """
        Read again.

        :return: the number of the pause if it was long: the caller then sends a PING, and calls :meth:`answered` with
            this number when the PONG comes. Otherwise None.
        """
        if self._paused_at is None:
            return None
        self._unread_for += self._clock.seconds() - self._paused_at
        self._paused_at = None
        self._pauses += 1
        transport.resumeProducing()
        return self._pauses if self._unread_for >= _SUSPICIOUS else None

    def answered(self, pause: int) -> None:
        """Take the PONG of the PING that was sent after a pause: the server has not cut us off."""
        if pause == self._pauses and self._paused_at is None:
            self._unread_for = 0.0

    def cut_off(self) -> SlowConsumerError | None:
        """When the connection is lost: the error that says so if a pause is the probable cause, or None."""
        unread_for = self._unread_for
        if self._paused_at is not None:
            unread_for += self._clock.seconds() - self._paused_at
        if unread_for < _SUSPICIOUS:
            return None
        return SlowConsumerError(
            f"the connection ended after it was not read for {unread_for:.0f} s. The server probably cut off a slow "
            "consumer; the messages that it still held for us are lost"
        )
