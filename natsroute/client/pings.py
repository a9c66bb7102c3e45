"""PINGs that wait for their PONGs, and the regular ones that show whether the server is alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.options import Timing
from natsroute.client.transport.flow_control import FlowControl
from natsroute.errors import ConnectionLostError, ProtocolError


class Pings:
    """
    The PINGs of one connection. A server answers them in order.

    :param flow: while it is paused, no PONG can be read, and no regular PING is sent.
    :param ping: sends a PING.
    :param on_dead: called with :class:`~natsroute.errors.ConnectionLostError` when ``max_pings_outstanding`` regular
        PINGs are not answered.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timing: Timing,
        flow: FlowControl,
        *,
        ping: Callable[[], Deferred[None]],
        on_dead: Callable[[Exception], object],
    ) -> None:
        self._clock = clock
        self._timing = timing
        self._flow = flow
        self._ping = ping
        self._on_dead = on_dead
        self._pongs: deque[Deferred[None]] = deque()
        self._outstanding = 0
        self._timer: IDelayedCall | None = None

    def sent(self) -> Deferred[None]:
        """Give the Deferred of a PING that is written now: it fires with its PONG."""
        pong: Deferred[None] = Deferred()
        self._pongs.append(pong)
        return pong

    def answered(self) -> None:
        """
        Take a PONG.

        :raises ProtocolError: no PING waits for it.
        """
        self._outstanding = 0
        if not self._pongs:
            raise ProtocolError("a PONG without a PING")
        self._pongs.popleft().callback(None)

    def forgive(self) -> None:
        """Count the unanswered PINGs from zero: the answers could not be read."""
        self._outstanding = 0

    def start(self) -> None:
        """Send a PING every ``ping_interval`` from now on."""
        self._timer = self._clock.callLater(self._timing.ping_interval, self._keep_alive)

    def stop(self) -> None:
        """Send no more regular PINGs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def fail(self, reason: Exception) -> None:
        """Fail the Deferreds of all PINGs that wait, with :class:`~natsroute.errors.ConnectionLostError`."""
        pongs, self._pongs = self._pongs, deque()
        for pong in pongs:
            pong.errback(ConnectionLostError(str(reason)))

    def _keep_alive(self) -> None:
        self.start()
        if self._flow.paused:
            return
        if self._outstanding >= self._timing.max_pings_outstanding:
            self._on_dead(ConnectionLostError(f"{self._outstanding} PINGs without a PONG"))
            return
        self._outstanding += 1
        self._ping().addErrback(lambda lost: None)
