"""The servers that a connection is logged in to: the one in use, and those that it leaves."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from natsroute.client.protocol import NatsProtocol
from natsroute.client.server_pool import ServerPool
from natsroute.client.servers import Server
from natsroute.client.state import ProtocolState
from natsroute.client.subscriptions import Subscriptions
from natsroute.client.totals import Totals
from natsroute.errors import ServerLeftError


class Sessions:
    """
    Knows which protocol is in use, and which ones only deliver what is still on its way.

    A server in lame duck mode is left in one of two ways. If all subscriptions have a queue group, another server gets
    them first: :attr:`server_needed` fires, the old server delivers until :meth:`begin`, and no message finds the group
    without a member. Otherwise the old server is left first, because a plain subscription at two servers would get each
    message twice; what is published until the next server has it is missed.

    :param servers: is notified of what becomes of the server in use.
    :param subscriptions: is notified of the end of each protocol.
    :param totals: counts the protocols.
    :param on_lost: called with server and reason when the one in use is gone.

    :ivar server: the server in use, or None.
    :ivar protocol: its protocol, or None.
    :ivar server_needed: a Deferred that fires when another server must be found, once after each :meth:`begin`.
    """

    def __init__(
        self,
        clock: IReactorTime,
        servers: ServerPool,
        subscriptions: Subscriptions,
        totals: Totals,
        on_lost: Callable[[Server, Exception], object],
    ) -> None:
        self.server: Server | None = None
        self.protocol: NatsProtocol | None = None
        self.server_needed: Deferred[None] = succeed(None)
        self._clock = clock
        self._servers = servers
        self._subscriptions = subscriptions
        self._totals = totals
        self._on_lost = on_lost
        self._since = 0.0
        self._leaving: set[NatsProtocol] = set()

    def opened(self, protocol: NatsProtocol) -> None:
        """Take a protocol whose handshake has not begun."""
        self._totals.opened(protocol)
        protocol.closed.addCallback(self._ended, protocol)

    def begin(self, server: Server, protocol: NatsProtocol) -> None:
        """Use a protocol that is ready, and leave the one that was in use."""
        old = self.protocol
        self.server_needed = Deferred()
        self._since = self._clock.seconds()
        self.server, self.protocol = server, protocol
        if old is not None:
            self.leave(old)
        self._servers.succeeded(server)
        self._totals.connected()
        if self._subscriptions.paused:
            protocol.pause()

    def move(self) -> None:
        """The server in use is in lame duck mode: leave it when another one has the subscriptions, or now."""
        if self.server is not None and self._subscriptions.may_overlap:
            self._servers.leaving(self.server, self._clock.seconds() - self._since)
            self.server_needed.callback(None)
        else:
            self.leave_if_alone()

    def leave_if_alone(self) -> None:
        """Leave the server in use now if no other one may have the subscriptions at the same time."""
        if self.protocol is not None and not self._subscriptions.may_overlap:
            self.leave(self.protocol)

    def leave(self, protocol: NatsProtocol) -> None:
        """End the subscriptions of a protocol, take what is on its way, and close it."""
        self._leaving.add(protocol)
        if protocol.state is ProtocolState.READY:  # otherwise it is ending already
            protocol.leave(ServerLeftError())

    def close(self) -> None:
        """Close all protocols whose handshake is done; what they have written still goes out."""
        for protocol in self._open:
            protocol.close()

    async def closed(self) -> None:
        """Wait until all protocols whose handshake is done have ended."""
        while self._open:
            await self._open[0].closed

    @property
    def _open(self) -> list[NatsProtocol]:
        return [*self._leaving, *([] if self.protocol is None else [self.protocol])]

    def _ended(self, reason: Exception, protocol: NatsProtocol) -> Exception:
        self._leaving.discard(protocol)
        self._totals.closed(protocol)
        server, needed = self.server, self.server_needed
        is_lost = protocol is self.protocol
        if is_lost:
            self.protocol = self.server = None
        self._subscriptions.protocol_ended(protocol)
        if is_lost and server is not None:
            try:
                self._servers.lost(server, self._clock.seconds() - self._since)
                self._on_lost(server, reason)
            finally:
                if not needed.called:
                    needed.callback(None)
        return reason
