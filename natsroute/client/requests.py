"""Requests: a message to a subject, and the answer to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.connection import Connection
from natsroute.client.inbox import DEFAULT_INBOX_PREFIX, Inbox
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import (
    ConnectionLostError,
    NatsrouteError,
    NoRespondersError,
    PayloadTooLargeError,
    RequestTimeoutError,
)
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Msg

#: The status of the answer that the server gives when nobody is subscribed to the subject (NATS ADR-4).
NO_RESPONDERS = 503


class Requests:
    """
    Sends requests over a connection, and matches the answers to them.

    All requests have one subscription for their answers. A request that is made while there is no connection waits for
    it, within its timeout. One that was written when the connection ends fails: whether it was handled is unknown, so
    it is not sent again. All methods run in the reactor thread, and every Deferred fires there.

    :param connection: a connection whose observers are told when it is lost.
    :param inbox_prefix: what the reply subjects begin with.

    :ivar inbox: the reply subjects. Its ``late`` counts the answers that came too late.
    """

    def __init__(
        self, connection: Connection, clock: IReactorTime, *, inbox_prefix: str = DEFAULT_INBOX_PREFIX
    ) -> None:
        self.inbox = Inbox(connection, inbox_prefix)
        self._connection = connection
        self._clock = clock
        self._written: dict[str, _Request] = {}  # by reply subject
        self._unwritten: dict[str, _Request] = {}  # while there is no connection
        self._deadlines: dict[float, _Deadlines] = {}  # by timeout
        connection.observe(self._on_change)

    @property
    def pending(self) -> int:
        """Requests that wait for an answer."""
        return len(self._written) + len(self._unwritten)

    def request(self, subject: str, payload: bytes, timeout: float, header_block: bytes = b"") -> Deferred[Any]:
        """
        Send a request.

        :param timeout: seconds until the answer must be there.
        :param header_block: from :func:`~natsroute.wire.headers.encode_headers`, or nothing.
        :return: fires with the answer, a message of the connection's type. Cancelling it ends the wait. It fails with

            - :class:`~natsroute.errors.NoRespondersError` at once if nobody is subscribed to the subject,
            - :class:`~natsroute.errors.RequestTimeoutError` if there is no answer in time,
            - :class:`~natsroute.errors.ConnectionLostError` if the connection ends first,
            - :class:`~natsroute.errors.SubjectError` if the subject is invalid,
            - :class:`~natsroute.errors.PayloadTooLargeError` if it is above the server's ``max_payload``.
        """
        request = _Request(subject, self._answered, self._end)
        reply = self.inbox.open(request.received)
        try:
            request.command = encode_pub(subject, payload, reply, header_block)
        except NatsrouteError as error:
            self.inbox.close(reply)
            return fail(error)
        request.reply = reply
        request.size = len(payload) + len(header_block)
        self._write(request)
        if not request.answer.called:
            deadlines = self._deadlines.get(timeout)
            if deadlines is None:
                deadlines = self._deadlines[timeout] = _Deadlines(self._clock, timeout, self._timed_out)
            deadlines.add(request)
        return request.answer

    def _write(self, request: _Request) -> None:
        limit = self._connection.max_payload
        if limit is None:
            self._unwritten[request.reply] = request
        elif request.size > limit:
            self._end(request).errback(PayloadTooLargeError(request.size, limit))
        else:
            self._written[request.reply] = request
            self._connection.write(request.command, 1)

    def _answered(self, request: _Request, msg: Msg) -> None:
        answer = self._end(request)
        if msg.header_block and not msg.data and msg.headers.status == NO_RESPONDERS:
            answer.errback(NoRespondersError(request.subject))
        else:
            answer.callback(msg)

    def _timed_out(self, request: _Request) -> None:
        was_sent = request.reply in self._written
        self._end(request).errback(RequestTimeoutError(request.subject, request.timeout, was_sent=was_sent))

    def _end(self, request: _Request) -> Deferred[Any]:
        """Wait no longer; returns the Deferred that is to fire."""
        self.inbox.close(request.reply)
        self._written.pop(request.reply, None)
        self._unwritten.pop(request.reply, None)
        request.ended = True
        return request.answer

    def _on_change(self, change: Change) -> None:
        if change.event is ConnectionEvent.CONNECTED:
            unwritten, self._unwritten = self._unwritten, {}
            for request in unwritten.values():
                self._write(request)
        elif change.event in (ConnectionEvent.DISCONNECTED, ConnectionEvent.CLOSED):
            lost = [*self._written.values()]
            if change.event is ConnectionEvent.CLOSED:
                lost += self._unwritten.values()
                for deadlines in self._deadlines.values():
                    deadlines.stop()
                self._deadlines.clear()
            for request in lost:
                reason = (
                    "the connection was closed" if change.reason is None else f"the connection ended: {change.reason}"
                )
                self._end(request).errback(ConnectionLostError(f"no answer from {request.subject!r}: {reason}"))


class _Request:
    """
    One request that waits for its answer.

    :param on_answer: called with the request and the answer.
    :param on_cancelled: called with the request when its Deferred is cancelled.
    """

    __slots__ = (
        "_on_answer",
        "_on_cancelled",
        "answer",
        "command",
        "deadline",
        "ended",
        "reply",
        "size",
        "subject",
        "timeout",
    )

    command: bytes
    deadline: float
    reply: str
    size: int
    timeout: float

    def __init__(
        self,
        subject: str,
        on_answer: Callable[[_Request, Msg], None],
        on_cancelled: Callable[[_Request], object],
    ) -> None:
        self.subject = subject
        self.ended = False
        self.answer: Deferred[Any] = Deferred(self._cancelled)
        self._on_answer = on_answer
        self._on_cancelled = on_cancelled

    def received(self, msg: Msg) -> None:
        """The answer is there."""
        self._on_answer(self, msg)

    def _cancelled(self, _: Deferred[Any]) -> None:
        self._on_cancelled(self)


class _Deadlines:
    """
    The requests with one timeout, the oldest first. A timer for each request would cost more than the request.

    :param on_timeout: called with each request that has no answer in time.
    """

    def __init__(self, clock: IReactorTime, timeout: float, on_timeout: Callable[[_Request], None]) -> None:
        self._clock = clock
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._requests: deque[_Request] = deque()
        self._timer: IDelayedCall | None = None

    def add(self, request: _Request) -> None:
        """Watch a request that begins now."""
        requests = self._requests
        while requests and requests[0].ended:
            requests.popleft()
        request.timeout = self._timeout
        request.deadline = self._clock.seconds() + self._timeout
        requests.append(request)
        if self._timer is None:
            self._timer = self._clock.callLater(self._timeout, self._look)

    def stop(self) -> None:
        """Watch no requests any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        requests, now = self._requests, self._clock.seconds()
        while requests and (requests[0].ended or requests[0].deadline <= now):
            request = requests.popleft()
            if not request.ended:
                self._on_timeout(request)
        if requests:
            self._timer = self._clock.callLater(max(0.0, requests[0].deadline - now), self._look)
