"""Whether connections end because of a batch: because the server does not take one of its messages."""

from __future__ import annotations

import attrs

from natsroute.errors import ConnectionLostError, PayloadViolationError, ServerError, ServerProtocolError

#: So many lost connections have to count against a batch until it is divided or written alone, and as many more against
#: a single message until that fails although the server has not said why it closes the connection.
MAX_LOST_CONNECTIONS = 3

#: Seconds. If a connection lasts longer after a batch was written, its end does not count against the batch.
SOON = 10.0

#: Servers that a batch remembers. There are more only if servers are restarted, which get a new ID each time.
MAX_SERVERS = 64

#: By these a server says that it does not take a message.
_REFUSALS = (PayloadViolationError, ServerProtocolError)

#: Exactly these types leave open why the connection ended: no words at all, or words that we do not know.
_UNEXPLAINED = (ConnectionLostError, ServerError)


@attrs.define(eq=False)
class Suspicion:
    """
    The evidence that a server does not take a message of a batch: connections that ended over it.

    Three kinds of lost connections are told apart:

    - The server says that it does not take a message. This counts.
    - The server gives another reason, or we have ended the connection. This does not count.
    - Nobody says why. The server was killed, the network was cut, or the server closes the connection because of a
      message, and its words got lost with the connection. This counts only if the same server, by its ID, accepts a
      connection afterwards: a server that was killed has another ID when it is back.

    After three unexplained losses the batch is written alone, and still whole. From then on an unexplained loss counts
    only if the connection ended soon after the batch was written. Such a loss is a reason to divide it.

    :ivar lost_connections: how many lost connections count.
    :ivar is_alone: whether the batch is written alone: before it, everything is confirmed, and nothing is written
        behind it until it is confirmed.
    """

    lost_connections: int = 0
    is_alone: bool = False
    _lost_at: dict[str, Exception] = attrs.field(factory=dict, init=False)  # unexplained losses, by the server's ID

    def lost(self, reason: Exception | None, server_id: str, seconds: float) -> bool:
        """
        The connection ended while this was the oldest unconfirmed batch.

        :param reason: why; None if we ended it.
        :param server_id: the ID of the server, from its INFO.
        :param seconds: since the batch was written, if it was written alone.
        :return: whether the server says that it does not take a message of the batch.
        """
        if isinstance(reason, _REFUSALS):
            self.lost_connections += 1
            self.is_alone |= self.lost_connections >= MAX_LOST_CONNECTIONS
            return True
        if reason is not None and type(reason) in _UNEXPLAINED and (not self.is_alone or seconds <= SOON):
            self._lost_at[server_id] = reason
            if len(self._lost_at) > MAX_SERVERS:
                del self._lost_at[next(iter(self._lost_at))]
        return False

    def connected(self, server_id: str) -> Exception | None:
        """
        There is a connection to a server.

        :return: the reason of an earlier loss if it counts now, and the batch was written alone; otherwise None.
        """
        reason = self._lost_at.pop(server_id, None)
        if reason is None:
            return None
        self.lost_connections += 1
        if self.is_alone:
            return reason
        if self.lost_connections >= MAX_LOST_CONNECTIONS:
            self.is_alone = True
            self._lost_at.clear()  # there the batch was not alone
        return None
