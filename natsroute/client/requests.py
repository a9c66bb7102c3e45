"""Requests: a message to a subject, and the answer to it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.connection import Connection
from natsroute.client.inbox import DEFAULT_INBOX_PREFIX, Inbox
from natsroute.client.request_many import Answers, Until, check_seconds
from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.errors import (
    ConnectionLostError,
    HeaderError,
    MisuseError,
    NatsrouteError,
    NoRespondersError,
    PayloadTooLargeError,
    PermissionsError,
    RequestLimitError,
    RequestTimeoutError,
    ServerError,
)
from natsroute.turns import BacklogLoop, Turn
from natsroute.wire.encoder import encode_pub, request_template
from natsroute.wire.frames import Msg
from natsroute.wire.headers import NO_HEADERS

#: Requests that may wait for their answers, and bytes that they may have together. All of them are kept in memory while
#: there is no connection, or while the server does not read.
MAX_PENDING, MAX_PENDING_BYTES = 65_536, 64 * 1024 * 1024

# How the answer begins that the server gives when nobody is subscribed to the subject (NATS ADR-4).
_NO_RESPONDERS = b"NATS/1.0 503"


class Requests:
    """
    Sends requests over a connection, and matches the answers to them.

    All requests have one subscription for their answers. A request that is made while there is no connection waits for
    it, within its timeout. One that was written when the connection ends fails: whether it was handled is unknown, so
    it is not sent again. If many requests fail at once, or were waiting for a connection, that is done in their order
    and in turns of the reactor: the callbacks are the user's code. All methods run in the reactor thread, and every
    Deferred fires there.

    :param connection: a connection whose observers are told when it is lost.
    :param inbox_prefix: what the reply subjects begin with.

    :ivar inbox: the reply subjects. Its ``late`` counts the answers that came too late.
    :ivar requested: requests so far.
    :ivar answered: those of them that have an answer, or all of several.
    :ivar failed: those that failed or were cancelled.
    """

    def __init__(
        self, connection: Connection, clock: IReactorTime, *, inbox_prefix: str = DEFAULT_INBOX_PREFIX
    ) -> None:
        self.inbox = Inbox(connection, inbox_prefix)
        self.requested = self.answered = self.failed = 0
        self._connection = connection
        self._clock = clock
        self._requests: dict[str, Request] = {}  # by reply subject
        self._bytes = 0  # of them
        # Writes those that wait for a connection. In a plain dict, finding the first one takes longer each time.
        self._unwritten: OrderedDict[str, Callable[[], None]] = OrderedDict()
        self._writing = BacklogLoop(clock, self._write_oldest)
        self._failing: deque[tuple[Request, Callable[[Request], NatsrouteError]]] = deque()  # and the error of each
        self._failures = BacklogLoop(clock, self._fail_oldest)
        self._deadlines: dict[float, _Deadlines] = {}  # by timeout
        # Bound once, and not for each request.
        self._on_answer, self._on_cancelled = self._answered, self._cancelled
        connection.observe(self._on_change)
        connection.observe_errors(self._on_error)

    @property
    def pending(self) -> int:
        """Requests that wait for an answer."""
        return len(self._requests)

    def request(self, subject: str, payload: bytes, timeout: float, header_block: bytes = b"") -> Deferred[Any]:
        """
        Send a request.

        :param timeout: seconds until the answer must be there.
        :param header_block: from :func:`~natsroute.wire.headers.encode_headers`, or nothing.
        :return: fires with the answer, a message of the connection's type. Cancelling it ends the wait. It fails with

            - :class:`~natsroute.errors.NoRespondersError` at once if nobody is subscribed to the subject,
            - :class:`~natsroute.errors.RequestTimeoutError` if there is no answer in time,
            - :class:`~natsroute.errors.ConnectionLostError` if the connection ends first,
            - :class:`~natsroute.errors.PermissionsError` at once if the server refuses the subject, or the subscription
              for the answers,
            - :class:`~natsroute.errors.RequestLimitError` if ``MAX_PENDING`` requests wait for their answers, or
              ``MAX_PENDING_BYTES``,
            - :class:`~natsroute.errors.SubjectError` if the subject is invalid,
            - :class:`~natsroute.errors.PayloadTooLargeError` if it is above the server's ``max_payload``,
            - :class:`~natsroute.errors.HeaderError` if it has headers, and the server does not support them,
            - :class:`~natsroute.errors.MisuseError` if the timeout is not a number above 0.
        """
        self.requested += 1
        try:
            deadlines = self._deadlines.get(timeout) or self._new_deadlines(timeout)
            template = request_template(subject)
            if len(self._requests) >= MAX_PENDING or self._bytes >= MAX_PENDING_BYTES:
                raise self._limit_error(subject)
            reply = self.inbox.open(self._on_answer)
        except (NatsrouteError, TypeError) as error:
            self.failed += 1
            return fail(_named(error))
        if header_block:
            command = encode_pub(subject, payload, reply, header_block)
        else:
            command = template % (reply.encode(), len(payload), payload)
        request = self._requests[reply] = Request(self._on_cancelled, subject, reply, len(command))
        self._bytes += len(command)
        self._write(request, command, len(payload), len(header_block))
        if not request.called:
            deadlines.add(request)
        return request

    def request_many(
        self,
        subject: str,
        payload: bytes,
        until: Until,
        header_block: bytes = b"",
        on_answer: Callable[[Any], object] | None = None,
    ) -> Deferred[Any]:
        """
        Send a request, and take several answers.

        :param until: when the answers are complete.
        :param on_answer: called with each answer as it arrives, instead of keeping it. What it raises fails the
            Deferred.
        :return: fires with the list of answers when they are complete, which may be an empty one; the list stays empty
            with ``on_answer``. Cancelling it ends the wait. It fails as that of :meth:`request`, but not for the want
            of an answer; :class:`~natsroute.errors.NoRespondersError` too, if nobody is subscribed to the subject.
        """
        self.requested += 1
        try:
            check_seconds("timeout", until.timeout)
            until.check()
            request_template(subject)  # which checks it
            if len(self._requests) >= MAX_PENDING or self._bytes >= MAX_PENDING_BYTES:
                raise self._limit_error(subject)
            reply = self.inbox.open(lambda msg: self._one_of_many(request, answers, msg))
        except (NatsrouteError, TypeError) as error:
            self.failed += 1
            return fail(_named(error))
        command = encode_pub(subject, payload, reply, header_block)
        request = self._requests[reply] = Request(self._on_cancelled, subject, reply, len(command))
        self._bytes += len(command)

        def complete(kept: list[Any]) -> None:
            self._forget(request)
            self.answered += 1
            request.callback(kept)

        def failed(error: BaseException) -> None:
            self._forget(request)
            self.failed += 1
            request.errback(error)

        answers = Answers(self._clock, until, on_answer, on_complete=complete, on_failed=failed)

        def ended(result: Any) -> Any:
            answers.stop()
            return result

        request.addBoth(ended)
        self._write(request, command, len(payload), len(header_block))
        return request

    def _one_of_many(self, request: Request, answers: Answers, msg: Msg) -> None:
        if _says_no_responders(msg):
            self._fail(request, NoRespondersError(request.subject))
        else:
            answers.received(msg)

    def _write(self, request: Request, command: bytes, payload: int, headers: int) -> None:
        if self._connection.info is None or self._unwritten:  # it is written behind those that wait
            self._unwritten[request.reply] = partial(self._write_now, request, command, payload, headers)
        else:
            self._write_now(request, command, payload, headers)

    def _write_now(self, request: Request, command: bytes, payload: int, headers: int) -> None:
        info = self._connection.info
        assert info is not None
        if payload + headers > info.max_payload:
            self._fail(request, PayloadTooLargeError(payload + headers, info.max_payload))
        elif headers and not info.headers:
            self._fail(request, HeaderError(NO_HEADERS))
        elif self.inbox.refused is not None:
            self._fail(request, self.inbox.refused)
        else:
            self._connection.write(command, 1)

    def _write_oldest(self) -> bool:
        """Write the oldest of the requests that wait for a connection."""
        if self._unwritten and self._connection.info is not None:
            _, write = self._unwritten.popitem(last=False)
            write()
        return bool(self._unwritten) and self._connection.info is not None

    def _answered(self, msg: Msg) -> None:
        reply = msg.address.subject
        request = self._requests.pop(reply)
        self._bytes -= request.size
        self.inbox.close(reply)
        if _says_no_responders(msg):
            self.failed += 1
            request.errback(NoRespondersError(request.subject))
        else:
            self.answered += 1
            request.callback(msg)

    def _cancelled(self, request: Any) -> None:
        self._forget(request)
        self.failed += 1
        if not self._requests:
            self._stop_deadlines()

    def _timed_out(self, request: Request, seconds: float) -> None:
        was_sent = request.reply not in self._unwritten
        self._fail(request, RequestTimeoutError(request.subject, seconds, was_sent=was_sent))

    def _fail(self, request: Request, error: NatsrouteError) -> None:
        self._forget(request)
        self.failed += 1
        request.errback(error)

    def _forget(self, request: Request) -> None:
        self.inbox.close(request.reply)
        if self._requests.pop(request.reply, None) is not None:
            self._bytes -= request.size
        self._unwritten.pop(request.reply, None)

    def _limit_error(self, subject: str) -> RequestLimitError:
        return RequestLimitError(subject, len(self._requests), self._bytes)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _new_deadlines(self, timeout: float) -> _Deadlines:
        check_seconds("timeout", timeout)

        def forget() -> None:
            if self._deadlines.get(timeout) is deadlines:
                del self._deadlines[timeout]

        deadlines = self._deadlines[timeout] = _Deadlines(self._clock, timeout, self._timed_out, forget)
        return deadlines

    def _stop_deadlines(self) -> None:
        for deadlines in [*self._deadlines.values()]:
            deadlines.stop()

    # -- the connection -----------------------------------------------------------------------------------------------

    def _on_change(self, change: Change) -> None:
        event = change.event
        if event in (ConnectionEvent.CONNECTED, ConnectionEvent.REFUSED):
            self._writing.run()
        elif event in (ConnectionEvent.DISCONNECTED, ConnectionEvent.CLOSED):
            closed = event is ConnectionEvent.CLOSED
            if closed:
                self._stop_deadlines()
            lost = [one for one in self._requests.values() if closed or one.reply not in self._unwritten]
            reason = "the connection was closed" if change.reason is None else f"the connection ended: {change.reason}"
            self._fail_all(lost, lambda one: ConnectionLostError(f"no answer from {one.subject!r}: {reason}"))
            if closed:  # there may be no further turn
                self._failures.finish()
                self._writing.stop()

    def _on_error(self, error: ServerError, server: Server) -> None:
        """Fail the requests that a server has refused. It names no request, but a subject."""
        refused = self.inbox.refused
        if refused is not None:
            self._fail_all(self._requests.values(), lambda one: refused)
        elif isinstance(error, PermissionsError) and error.operation == "publish":
            self._fail_all((one for one in self._requests.values() if one.subject == error.subject), lambda one: error)
        elif isinstance(error, PermissionsError) and error.subject in self._requests:  # a reply subject
            self._fail(self._requests[error.subject], error)

    def _fail_all(self, requests: Iterable[Request], make_error: Callable[[Request], NatsrouteError]) -> None:
        self._failing.extend((request, make_error) for request in requests)
        self._failures.run()

    def _fail_oldest(self) -> bool:
        if self._failing:
            request, make_error = self._failing.popleft()
            if not request.called:  # by what followed the end of another one, or by an answer
                self._fail(request, make_error(request))
        return bool(self._failing)


def _named(error: Exception) -> NatsrouteError:
    """An error of natsroute, for one that comes from an argument of a wrong type."""
    return error if isinstance(error, NatsrouteError) else MisuseError(f"an argument has a wrong type: {error}")


def _says_no_responders(msg: Msg) -> bool:
    # The headers are not parsed: those of an answer may be malformed.
    return not msg.data and msg.header_block.startswith(_NO_RESPONDERS)


class Request(Deferred[Any]):
    """
    A request that waits for its answer; it fires with that.

    :ivar reply: its reply subject.
    :ivar size: bytes of its command.
    :ivar deadline: when the answer must be there.
    """

    deadline: float

    def __init__(self, on_cancelled: Callable[[Any], None], subject: str, reply: str, size: int) -> None:
        Deferred.__init__(self, on_cancelled)  # super() costs more
        self.subject = subject
        self.reply = reply
        self.size = size


class _Deadlines:
    """
    The requests with one timeout, the oldest first. A timer for each request would cost more than the request.

    :param on_timeout: called with each request that has no answer in time, and the timeout.
    :param on_unused: called when nothing is watched any more: this object is not needed.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float,
        on_timeout: Callable[[Request, float], None],
        on_unused: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._on_unused = on_unused
        self._requests: deque[Request] = deque()
        self._timer: IDelayedCall = clock.callLater(timeout, self._look)

    def add(self, request: Request) -> None:
        """Watch a request that begins now."""
        requests = self._requests
        while requests and requests[0].called:
            requests.popleft()
        request.deadline = self._clock.seconds() + self._timeout
        requests.append(request)

    def stop(self) -> None:
        """Watch no requests any more."""
        self._requests.clear()
        if self._timer.active():
            self._timer.cancel()
        self._on_unused()

    def _look(self) -> None:
        requests, now = self._requests, self._clock.seconds()
        turn = Turn(self._clock)
        while requests and (requests[0].called or requests[0].deadline <= now):
            request = requests.popleft()
            if not request.called:
                self._on_timeout(request, self._timeout)
                if turn.is_over():
                    break
        if requests:
            self._timer = self._clock.callLater(max(0.0, requests[0].deadline - now), self._look)
        else:
            self._on_unused()
