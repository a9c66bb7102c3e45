"""Remembers which servers used TLS, so that nothing is sent to them in plain text later."""

from __future__ import annotations

from collections.abc import Iterable

from natsroute.client.servers import Server

#: Addresses that are remembered. A cluster may change its members for years; then the oldest are forgotten.
MAX_ADDRESSES = 10_000


class TlsMemory:
    """
    The servers that used TLS, and those that such servers named.

    An INFO comes before TLS, so anybody on the way can remove ``tls_required`` from it. All connections of a service
    share one memory.
    """

    def __init__(self) -> None:
        self._addresses: dict[str, None] = {}  # the one that was seen last is the last

    def used_tls(self, server: Server) -> None:
        """A server has used TLS, with a valid certificate."""
        self._remember(server)

    def named(self, by: Server, addresses: Iterable[str]) -> None:
        """
        A server has named its cluster. Nothing is remembered if it has not used TLS itself.

        :param addresses: the ``connect_urls`` of its INFO. Malformed ones are ignored.
        """
        if not self.requires_tls(by):
            return
        for server in map(by.at, addresses):
            if server is not None:
                self._remember(server)

    def requires_tls(self, server: Server) -> bool:
        """Whether nothing may be sent to a server in plain text."""
        return server.address.lower() in self._addresses

    def _remember(self, server: Server) -> None:
        address = server.address.lower()
        self._addresses.pop(address, None)
        self._addresses[address] = None
        if len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]
