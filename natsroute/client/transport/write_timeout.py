"""Notices writes that do not go out because the other side does not read, or is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from natsroute.errors import ConnectionLostError


@implementer(IPushProducer)
class WriteTimeout:
    """
    Ends a connection whose transport has unsent data for too long without any progress.

    A transport tells its producer to pause when the socket takes no more data, and to resume when all data has gone
    out. This producer produces nothing. It only measures the time between the two calls.

    :param timeout: seconds without progress.
    :param on_timeout: called once with :class:`~natsroute.errors.ConnectionLostError`.
    """

    def __init__(self, clock: IReactorTime, timeout: float, on_timeout: Callable[[Exception], object]) -> None:
        self._clock = clock
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._since: float | None = None
        self._timer: IDelayedCall | None = None
        self._transport: Any = None

    @property
    def full(self) -> bool:
        """Whether the transport has data that the socket does not take."""
        return self._since is not None

    def watch(self, transport: Any) -> None:
        """Begin to watch a transport, as its producer."""
        self._transport = transport
        transport.registerProducer(self, True)

    def unwatch(self) -> None:
        """Stop watching, and unregister: a transport does not close while it has a producer."""
        self.stop()
        if self._transport is not None:
            self._transport.unregisterProducer()
            self._transport = None

    def stop(self) -> None:
        """Stop watching a transport that has lost its connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def progress(self) -> None:
        """
        Start the time again: the other side has read something.

        A slow link may have unsent data for hours although it works.
        """
        if self._since is not None:
            self._since = self._clock.seconds()

    def pauseProducing(self) -> None:
        """Start the time: the socket takes no more data."""
        if self._since is None:
            self._since = self._clock.seconds()
            if self._timer is None:
                self._timer = self._clock.callLater(self._timeout, self._check)

    def resumeProducing(self) -> None:
        """Stop the time: all data has gone out."""
        self._since = None

    def stopProducing(self) -> None:
        """Stop the time: the connection is lost."""
        self._since = None

    def _check(self) -> None:
        # The timer is not reset at each pause, because a busy connection pauses a thousand times a second.
        self._timer = None
        if self._since is None:
            return
        left = self._since + self._timeout - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._check)
        else:
            self._on_timeout(ConnectionLostError(f"no written data was sent within {self._timeout} s"))
