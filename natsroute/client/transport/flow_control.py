"""Whether a connection is read, and what a server does that waits for it too long."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer, IReactorTime

from natsroute.errors import SlowConsumerError

#: Seconds of not reading after which a server that is gone is suspected to have cut us off for that.
_SUSPICIOUS = 1.0


class FlowControl:
    """
    Stops and continues the reading of a transport.

    A server that cannot write to a slow consumer says nothing before it ends the connection. So if the connection is
    lost behind a long pause, and before the server has answered a PING, the pause is taken to be the reason; a server
    that was stopped in that time cannot be told from it.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._pauses = 0
        self._paused_at: float | None = None
        self._unread_for = 0.0  # seconds of pauses since which the server has not shown that it is still there

    @property
    def paused(self) -> bool:
        """Whether nothing is read."""
        return self._paused_at is not None

    def pause(self, transport: IPushProducer) -> None:
        """Read no more."""
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()
            transport.pauseProducing()

    def resume(self, transport: IPushProducer) -> int | None:
        """
        Read again.

        :return: the number of the pause, if the server should be asked whether it is still there.
        """
        if self._paused_at is None:
            return None
        self._unread_for += self._clock.seconds() - self._paused_at
        self._paused_at = None
        self._pauses += 1
        transport.resumeProducing()
        return self._pauses if self._unread_for >= _SUSPICIOUS else None

    def answered(self, pause: int) -> None:
        """The server has answered what it was asked behind that pause."""
        if pause == self._pauses and self._paused_at is None:
            self._unread_for = 0.0

    def cut_off(self) -> SlowConsumerError | None:
        """The connection is lost: whether for this reason."""
        unread_for = self._unread_for
        if self._paused_at is not None:
            unread_for += self._clock.seconds() - self._paused_at
        if unread_for < _SUSPICIOUS:
            return None
        return SlowConsumerError(
            f"the connection ended, which was not read for {unread_for:.0f} s: perhaps the server cut off a slow "
            "consumer, and what it still kept for us is lost"
        )
