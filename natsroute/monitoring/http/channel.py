"""
One HTTP connection, with the limits that twisted.web does not have.

twisted.web limits the header (16 KiB, 500 fields), and refuses ``Content-Length`` beside ``Transfer-Encoding`` and
malformed chunks. But each byte gives a client new time, a body is stored in a file, a connection stays open until the
client has read everything, and all requests that have been read are answered at once. So here:

- A request has a time limit from its first byte to its end, and so has the wait for it.
- A request with a body is refused. No path takes one.
- A client that does not read its response is cut off, and its next request waits until it has read.
- Each request has a turn of the reactor of its own. A thousand that come at once would keep the reactor for seconds.
- The number of connections is limited. A new one takes the place of the one that has been waiting for a request the
  longest, so that idle connections, however many, do not keep out a probe.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

#: Connections at most.
MAX_CONNECTIONS = 250
#: Seconds from the first byte of a request, or from the beginning of a connection, to the end of the request.
REQUEST_TIMEOUT = 10.0
#: Seconds that a connection may wait for a further request. Scrapers use one again after up to a minute.
IDLE_TIMEOUT = 75.0
#: Seconds without progress after which a client that does not read is cut off.
WRITE_TIMEOUT = 30.0

_REFUSED = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Channel(HTTPChannel):
    """
    The protocol of one connection; the class comment of the module says what it adds.

    :ivar busy: whether a request is being answered.
    """

    site: Any
    transport: Any

    def __init__(self) -> None:
        super().__init__()
        self.busy = False
        self._refused = False
        self._request_timer: IDelayedCall | None = None
        self._write_timer: IDelayedCall | None = None
        self._next_timer: IDelayedCall | None = None
        self._idle = False
        self._answered: Any = None  # the request behind which the next one waits

    def connectionMade(self) -> None:
        self.timeOut = None  # twisted.web's own, which each byte starts again
        super().connectionMade()
        channels = self.site.channels
        if len(channels) >= MAX_CONNECTIONS:
            waiting = next((channel for channel in channels if not channel.busy), None)
            if waiting is None:
                if self.isSecure():  # the client would first have to finish the handshake
                    self.cut_off()
                else:
                    self._refuse(b"503 Service Unavailable")
                return
            waiting.cut_off()
        channels[self] = None
        self._wait(REQUEST_TIMEOUT)

    def cut_off(self) -> None:
        """End the connection at once."""
        self.site.channels.pop(self, None)
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            return
        if self._idle:
            self._wait(REQUEST_TIMEOUT)
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        request = self.requests[-1]
        if self.length != 0 or request.requestHeaders.hasHeader(b"Transfer-Encoding"):
            self.length = 0  # nothing more is read
            self._refuse(b"413 Content Too Large")
            return
        request.requestHeaders.removeHeader(b"Expect")
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        if self._refused:
            return
        _stop(self._request_timer)
        self.busy = True
        super().allContentReceived()

    def requestDone(self, request: object) -> None:
        if self.persistent:
            self._answered = request
            self._next_timer = self.callLater(0, self._next_request)
        else:
            super().requestDone(request)

    def _next_request(self) -> None:
        """Read the next request, unless the client has not read the last response."""
        if self._answered is None or self._waitingForTransport:
            return
        request, self._answered = self._answered, None
        self.busy = False
        channels = self.site.channels
        if self in channels:  # it becomes the youngest
            del channels[self]
            channels[self] = None
        self._wait(IDLE_TIMEOUT)
        self._idle = True
        super().requestDone(request)

    def loseConnection(self) -> None:
        """Close the connection when the client has read everything, or does not read."""
        self._start_write_timer()
        super().loseConnection()

    def pauseProducing(self) -> None:
        self._start_write_timer()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        _stop(self._write_timer)
        super().resumeProducing()
        if self._answered is not None:
            _stop(self._next_timer)
            self._next_timer = self.callLater(0, self._next_request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for timer in (self._request_timer, self._write_timer, self._next_timer):
            _stop(timer)
        self.site.channels.pop(self, None)
        super().connectionLost(reason)

    def _wait(self, seconds: float) -> None:
        self._idle = False
        _stop(self._request_timer)
        self._request_timer = self.callLater(seconds, self.cut_off)

    def _start_write_timer(self) -> None:
        _stop(self._write_timer)
        self._write_timer = self.callLater(WRITE_TIMEOUT, self.cut_off)

    def _refuse(self, status: bytes) -> None:
        self._refused = True
        self.persistent = 0
        self.transport.write(_REFUSED % status)
        self.loseConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._refuse(b"400 Bad Request")


def _stop(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()
