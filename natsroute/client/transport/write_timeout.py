"""Writes that do not go out: the other side reads no longer, or is no longer there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from natsroute.errors import ConnectionLostError


@implementer(IPushProducer)
class WriteTimeout:
    """
    Notices when a transport has had more to write than its socket takes for too long.

    A transport tells whoever is registered as its producer to pause when that begins, and to go on when all has gone
    out. Nothing is produced here, and nothing paused: only the time is taken.

    :param timeout: seconds.
    :param on_stuck: called with :class:`~natsroute.errors.ConnectionLostError`.
    """

    def __init__(self, clock: IReactorTime, timeout: float, on_stuck: Callable[[Exception], object]) -> None:
        self._clock = clock
        self._timeout = timeout
        self._on_stuck = on_stuck
        self._since: float | None = None
        self._timer: IDelayedCall | None = None
        self._transport: Any = None

    @property
    def full(self) -> bool:
        """Whether the transport has more than the socket takes."""
        return self._since is not None

    def watch(self, transport: Any) -> None:
        """Begin with a transport."""
        self._transport = transport
        transport.registerProducer(self, True)

    def let_go(self) -> None:
        """Leave a transport that shall close: with a producer it would wait for more."""
        self.stop()
        if self._transport is not None:
            self._transport.unregisterProducer()
            self._transport = None

    def stop(self) -> None:
        """The connection is lost, and the transport no longer to be spoken to."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pauseProducing(self) -> None:
        """The transport has more than the socket takes."""
        if self._since is None:
            self._since = self._clock.seconds()
            if self._timer is None:
                self._timer = self._clock.callLater(self._timeout, self._look)

    def progress(self) -> None:
        """
        The other side has read some of it. (A slow link may have data to write for hours, and never be stuck.)
        """
        if self._since is not None:
            self._since = self._clock.seconds()

    def resumeProducing(self) -> None:
        """All has gone out."""
        self._since = None

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._since = None

    def _look(self) -> None:
        # Set once and looked at late, since a busy connection fills and empties its buffer a thousand times a second.
        self._timer = None
        if self._since is None:
            return
        left = self._since + self._timeout - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._look)
        else:
            self._on_stuck(ConnectionLostError(f"what was written did not go out within {self._timeout} s"))
