"""
The overview as a stream of server-sent events, for all browsers that show the status page.

The events are those of the HTML standard's EventSource:

``page``
    comes first. Its data is a JSON string that changes when the status page changes, so that a page which is left open
    can load itself again after an upgrade.
``overview``
    comes each second. Its data is :meth:`Overview.as_json`, with the oldest calls and the latest errors only.
``failure``
    comes instead, if there is no overview. Its data is a JSON string that says why.

One of the last two is sent at least every few seconds, so that a browser notices a connection that is dead.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.web.http import SERVICE_UNAVAILABLE
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from natsroute.log import Logger
from natsroute.monitoring.overview import Overview
from natsroute.text import printable, safe_str

#: Streams that may be open at the same time.
MAX_STREAMS = 50
#: Seconds between two overviews.
INTERVAL = 1.0
#: Seconds that an overview may take, for example if other processes are asked.
ANSWER_TIMEOUT = 5.0
#: Seconds after which a browser that reads nothing is disconnected.
WRITE_TIMEOUT = 30.0
#: Seconds after which a browser may try again if there are too many streams.
RETRY_AFTER = 10

#: What of an overview is sent at most.
MAX_CALLS_SENT = 20
MAX_ERRORS_SENT = 20
#: Bytes that the operating system may hold for one stream. It would hold some megabytes otherwise: minutes of overviews
#: that a browser which reads again would be given first.
SEND_BUFFER = 32_768

_TOO_MANY = b"Too many status pages are open.\n"


class EventStream(Resource):
    """
    Sends the overview to all open streams, once a second.

    The overview is made once for all streams, and not at all while there are none. A browser that reads slowly gets
    the newest overview when it is ready for one, and never those in between.

    :param overview: returns the overview of the service; called in the reactor's thread.
    :param clock: the reactor, or a test's clock.
    :param edition: changes when the status page changes.
    :param max_streams: how many streams may be open. Further ones are refused with 503.
    :param write_timeout: seconds after which a browser that reads nothing is disconnected.
    """

    _log = Logger()

    def __init__(
        self,
        overview: Callable[[], Overview | Deferred[Overview]],
        clock: IReactorTime,
        *,
        edition: str = "",
        max_streams: int = MAX_STREAMS,
        write_timeout: float = WRITE_TIMEOUT,
    ) -> None:
        super().__init__()
        self._overview = overview
        self._clock = clock
        self._hello = f"retry: 2000\n{_event('page', edition)}"
        self._max_streams = max_streams
        self._write_timeout = write_timeout
        self._streams: set[_Stream] = set()
        self._newest = b""
        self._answer: Deferred[None] | None = None
        self._failed = False
        self._loop: Any = LoopingCall(self._ask)
        self._loop.clock = clock

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._streams)

    def render_GET(self, request: Any) -> Any:
        """Open a stream, or refuse it."""
        if len(self._streams) >= self._max_streams:
            request.setResponseCode(SERVICE_UNAVAILABLE)
            request.setHeader(b"retry-after", str(RETRY_AFTER).encode())
            request.setHeader(b"content-type", b"text/plain; charset=utf-8")
            return _TOO_MANY
        _set_headers(request)
        stream = _Stream(request, self._clock, self._write_timeout, self._remove)
        self._streams.add(stream)
        stream.send(self._hello.encode() + self._newest)
        if not self._loop.running:
            self._loop.start(INTERVAL)
        return NOT_DONE_YET

    def render_HEAD(self, request: Any) -> bytes:
        """Only the headers; this opens no stream."""
        _set_headers(request)
        return b""

    def _remove(self, stream: _Stream) -> None:
        self._streams.discard(stream)
        if not self._streams and self._loop.running:
            self._loop.stop()
            self._newest = b""  # it will be old when the next stream is opened
            if self._answer is not None:
                self._answer.cancel()

    def _ask(self) -> None:
        if self._answer is not None:  # it is still to come
            return
        answer: Deferred[Any] = maybeDeferred(self._overview)
        self._answer = answer
        answer.addTimeout(ANSWER_TIMEOUT, self._clock)
        answer.addBoth(self._answered)
        answer.addCallback(self._show).addErrback(self._say_failure)

    def _answered(self, result: Overview | Failure) -> Overview | Failure:
        self._answer = None
        return result

    def _show(self, overview: Overview) -> None:
        if not self._streams:
            return
        shown = attrs.evolve(overview, calls=overview.calls[:MAX_CALLS_SENT], errors=overview.errors[:MAX_ERRORS_SENT])
        self._send("overview", shown.as_json())
        self._failed = False

    def _say_failure(self, failure: Failure) -> None:
        if not self._streams:  # cancelled, because nobody looks any more
            return
        if not self._failed:  # once, and not each second
            self._log.failure("The status page has no overview", failure)
        self._failed = True
        self._send("failure", f"{type(failure.value).__name__}: {printable(safe_str(failure.value), 200)}")

    def _send(self, event: str, data: object) -> None:
        self._newest = _event(event, data).encode()
        for stream in tuple(self._streams):
            stream.send(self._newest)


@implementer(IPushProducer)
class _Stream:
    """
    One open stream.

    :param on_end: called once with the stream when it has ended, for any reason.
    """

    def __init__(
        self, request: Any, clock: IReactorTime, write_timeout: float, on_end: Callable[[_Stream], object]
    ) -> None:
        self._request = request
        self._clock = clock
        self._write_timeout = write_timeout
        self._on_end = on_end
        self._timer: IDelayedCall | None = None
        self._ended = False
        socket = getattr(request.transport, "socket", None)  # also that below TLS; in memory there is none
        if socket is not None:
            socket.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
        request.registerProducer(self, True)
        request.notifyFinish().addBoth(self._end)

    def send(self, message: bytes) -> None:
        """Send a message, unless earlier ones are still on their way out."""
        if self._timer is None and not self._ended:
            self._request.write(message)

    def pauseProducing(self) -> None:
        """Send nothing: the transport holds as much as it takes."""
        if self._timer is None and not self._ended:
            self._timer = self._clock.callLater(self._write_timeout, self._abort)

    def resumeProducing(self) -> None:
        """Send again: all has gone out."""
        self._stop_timer()

    def stopProducing(self) -> None:
        """The connection is lost; notifyFinish() says so, too."""

    def _abort(self) -> None:
        self._ended = True
        self._stop_timer()
        self._request.transport.abortConnection()  # a polite end would wait for the browser to read

    def _end(self, _: object) -> None:
        self._ended = True
        self._stop_timer()
        self._on_end(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None


def _event(name: str, data: object) -> str:
    # With NaN, which JavaScript cannot read, this fails. Line ends are escaped in JSON.
    return f"event: {name}\ndata: {json.dumps(data, allow_nan=False, separators=(',', ':'))}\n\n"


def _set_headers(request: Any) -> None:
    request.setHeader(b"content-type", b"text/event-stream; charset=utf-8")
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-accel-buffering", b"no")  # nginx would collect the events
