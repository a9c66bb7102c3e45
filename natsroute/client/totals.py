"""How much a connection has sent and received, over all of its servers."""

from __future__ import annotations

from natsroute.client.protocol import NatsProtocol


class Totals:
    """
    Adds up what the protocols of one connection count, those that have ended included.

    :ivar connects: how often a handshake was completed.
    """

    def __init__(self) -> None:
        self.connects = 0
        self._protocols: set[NatsProtocol] = set()
        # Of the protocols that have ended:
        self._bytes_in = self._bytes_out = self._messages_out = self._unclaimed = 0

    @property
    def bytes_in(self) -> int:
        """Bytes received."""
        return self._bytes_in + sum(protocol.bytes_in for protocol in self._protocols)

    @property
    def bytes_out(self) -> int:
        """Bytes written."""
        return self._bytes_out + sum(protocol.bytes_out for protocol in self._protocols)

    @property
    def messages_out(self) -> int:
        """Messages published."""
        return self._messages_out + sum(protocol.messages_out for protocol in self._protocols)

    @property
    def unclaimed(self) -> int:
        """Messages received for subscriptions that had ended."""
        return self._unclaimed + sum(protocol.unknown_sids for protocol in self._protocols)

    def opened(self, protocol: NatsProtocol) -> None:
        """Count a protocol from now on."""
        self._protocols.add(protocol)

    def connected(self) -> None:
        """Count a handshake that was completed."""
        self.connects += 1

    def closed(self, protocol: NatsProtocol) -> None:
        """Keep what a protocol has counted; it counts no more."""
        if protocol in self._protocols:
            self._protocols.remove(protocol)
            self._bytes_in += protocol.bytes_in
            self._bytes_out += protocol.bytes_out
            self._messages_out += protocol.messages_out
            self._unclaimed += protocol.unknown_sids
