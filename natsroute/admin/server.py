"""
The admin methods for clients of a Unix socket: a request is a line, and so is its answer.

What a client can use is bounded: the length of a line, the number of connections, and the time that a connection may
take to send a request or to read an answer. A new connection takes the place of the one that has been open the longest
without a request. A connection has one request at a time. Nothing more is read from it before the answer is on its way,
so that the kernel holds what the client sends meanwhile.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from twisted.internet.interfaces import IAddress, IDelayedCall, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from natsroute.admin.errors import MethodError
from natsroute.admin.methods import Methods
from natsroute.admin.rpc import Code, error_line
from natsroute.log import Logger

#: Bytes that a request may have.
MAX_REQUEST = 65_536
#: Connections that may be open at the same time.
MAX_CONNECTIONS = 32
#: Seconds that a client may take to send a whole request, or to read an answer.
CLIENT_TIMEOUT = 30.0

#: Returns the user of the process at the other end of a connection; None if the system does not tell.
PeerUid: TypeAlias = "Callable[[Any], int | None]"

_PEER_CREDENTIALS = struct.Struct("3i")  # Linux' struct ucred: pid, uid, gid


def peer_uid(transport: Any) -> int | None:
    """The user of the process at the other end of a Unix socket; None if the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    data = transport.getHandle().getsockopt(socket.SOL_SOCKET, option, _PEER_CREDENTIALS.size)
    uid: int = _PEER_CREDENTIALS.unpack(data)[1]
    return uid


@implementer(IPushProducer, IHalfCloseableProtocol)
class AdminProtocol(LineOnlyReceiver):
    """
    One connection of a client.

    :param factory: the factory that makes it.
    """

    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = MAX_REQUEST

    def __init__(self, factory: AdminFactory) -> None:
        self._owner = factory
        self._requests: deque[bytes] = deque()
        self._is_open = True  # for requests and answers
        self._is_answering = False
        self._client_reads = True
        self._client_has_ended = False
        self._turn: IDelayedCall | None = None
        self._timeout: IDelayedCall | None = None

    @property
    def waits_for_request(self) -> bool:
        """Whether it has nothing to do, and has sent its answers."""
        return self._client_reads and not (self._is_answering or self._requests)

    def cut_off(self) -> None:
        """Close the connection at once."""
        self._is_open = False
        self._owner.connections.pop(self, None)  # its place is free now, and not when the reactor closes it
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self._wait_for_client()
        refusal = self._owner.refusal_of(self.transport)
        if refusal is None:
            self._owner.connections[self] = None
        else:
            self._refuse(refusal)

    def lineReceived(self, line: bytes) -> None:
        if self._is_open and line.strip():
            self._requests.append(line)
            if self._turn is None and not self._is_answering:
                self._next()

    def lineLengthExceeded(self, line: bytes) -> None:
        self._refuse(MethodError(Code.INVALID_REQUEST, f"a request has at most {MAX_REQUEST} bytes"))

    def readConnectionLost(self) -> None:
        """The client sends nothing more. It may wait for answers."""
        self._client_has_ended = True
        if self._turn is None and not self._is_answering:
            self._next()

    def writeConnectionLost(self) -> None:
        """Never called: this side does not half-close."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_open = False
        self._owner.connections.pop(self, None)
        self._requests.clear()
        self._stop_waiting_for_client()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def pauseProducing(self) -> None:
        # Much of an answer has not been read yet.
        self._client_reads = False

    def resumeProducing(self) -> None:
        self._client_reads = True
        if self._turn is None and not self._is_answering:
            self._next()

    def stopProducing(self) -> None:
        self._requests.clear()

    def _next(self) -> None:
        """Answer the next request, if there is one and the client has read the last answer."""
        self._turn = None
        if not self._client_reads:
            return
        if self._requests:
            self._stop_waiting_for_client()
            self._is_answering = True
            self.transport.pauseProducing()
            self._owner.methods.answer(self._requests.popleft()).addCallback(self._answered)
        elif self._client_has_ended:
            self._end()
        else:
            self.transport.resumeProducing()

    def _answered(self, answer: bytes | None) -> None:
        self._is_answering = False
        if not self._is_open:
            return
        self._wait_for_client()
        if answer is not None:
            self.transport.write(answer)
        # One request a turn of the reactor, however many a client sends.
        self._turn = self._owner.clock.callLater(0, self._next)

    def _refuse(self, error: MethodError) -> None:
        self._requests.clear()
        self.transport.write(error_line(None, error))
        self._end()

    def _end(self) -> None:
        """Close the connection when the client has read everything."""
        self._is_open = False
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _wait_for_client(self) -> None:
        self._timeout = self._owner.clock.callLater(CLIENT_TIMEOUT, self._abort)

    def _stop_waiting_for_client(self) -> None:
        timeout, self._timeout = self._timeout, None
        if timeout is not None:
            timeout.cancel()

    def _abort(self) -> None:
        self._timeout = None
        self.cut_off()


class AdminFactory(Factory):
    """
    Makes the connections of clients.

    :param clock: the reactor.
    :param methods: what clients can call.
    :param peer_uid: see :data:`PeerUid`.

    :ivar connections: those that are open, the oldest first.
    """

    log = Logger()
    noisy = False

    def __init__(self, clock: Any, methods: Methods, peer_uid: PeerUid = peer_uid) -> None:
        self.clock = clock
        self.methods = methods
        self.connections: dict[AdminProtocol, None] = {}
        self._peer_uid = peer_uid
        self._refused_users: set[int | None] = set()  # that were logged, each once

    def buildProtocol(self, addr: IAddress | None) -> AdminProtocol:
        return AdminProtocol(self)

    def refusal_of(self, transport: Any) -> MethodError | None:
        """Why this client cannot be served; None if it can."""
        uid = self._peer_uid(transport)
        if uid not in (None, 0, os.geteuid()):
            if uid not in self._refused_users:
                self._refused_users.add(uid)
                self.log.warn("The admin socket refuses clients of user {uid}", uid=uid)
            return MethodError(Code.FAILED, "only the user of the service and root may use this socket")
        if len(self.connections) >= MAX_CONNECTIONS:
            waiting = next((one for one in self.connections if one.waits_for_request), None)
            if waiting is None:
                return MethodError(Code.FAILED, f"{MAX_CONNECTIONS} connections have requests already; try again later")
            waiting.cut_off()
        return None

    def close(self) -> None:
        """Close all connections; answers that are not on their way are not sent."""
        for connection in tuple(self.connections):
            connection.cut_off()
