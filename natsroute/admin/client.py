"""A client of the admin methods at a Unix socket."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from natsroute.admin.errors import AnswerTimeoutError, NoAccessError, NoAnswerError, NoServiceError
from natsroute.admin.paths import is_too_long
from natsroute.admin.rpc import Request, read_answer

#: Seconds to wait for an answer.
DEFAULT_TIMEOUT = 5.0
#: Bytes that an answer may have.
MAX_ANSWER = 64 * 1024 * 1024


class AdminClient:
    """
    Calls admin methods. Each call has a connection of its own, so that calls do not wait for each other.

    :param reactor: what connects, and the clock.
    :param path: the path of the socket.

    :ivar path: the same.
    """

    def __init__(self, reactor: Any, path: str) -> None:
        self._reactor = reactor
        self.path = path

    def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float = DEFAULT_TIMEOUT
    ) -> Deferred[Any]:
        """
        Call a method.

        :param params: its parameters by name, which are JSON values.
        :param timeout: seconds to wait for the answer, with the time to connect.
        :return: fires with the result, in the reactor's thread. Fails with an
            :class:`~natsroute.admin.errors.AdminError`, such as :class:`~natsroute.admin.errors.MethodError` for a
            method that failed. Cancelling it closes the connection; the method may run nevertheless.
        """
        if is_too_long(self.path):  # the system would raise in a later turn of the reactor
            return fail(NoServiceError(self.path))
        called = Deferred.fromCoroutine(self._call(Request(method, dict(params or {}), 1).line()))
        called.addTimeout(timeout, self._reactor)
        return called.addErrback(self._failed, timeout)

    async def _call(self, request: bytes) -> Any:
        answer = _Answer()
        # Longer than our own timeout, which covers this, too.
        endpoint = UNIXClientEndpoint(self._reactor, self.path, timeout=24 * 3600)
        try:
            await endpoint.connect(_AnswerFactory(answer))
        except ConnectingCancelledError as cancelled:  # which is no CancelledError
            raise CancelledError() from cancelled
        try:
            answer.transport.write(request)
            return read_answer(await answer.line)
        finally:
            answer.transport.abortConnection()

    def _failed(self, failure: Failure, timeout: float) -> Failure:
        error = failure.value
        if isinstance(error, defer.TimeoutError):
            return Failure(AnswerTimeoutError(timeout))
        if not isinstance(error, ConnectError):
            return failure
        if error.osError in (errno.EACCES, errno.EPERM):
            return Failure(NoAccessError(self.path))
        return Failure(NoServiceError(self.path))


class _AnswerFactory(Factory):
    """Makes one protocol, and logs nothing of it."""

    noisy = False

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer

    def buildProtocol(self, addr: object) -> _Answer:
        return self._answer


class _Answer(Protocol):
    """
    Reads one line.

    :ivar line: fires with the line, without its end; fails with :class:`~natsroute.admin.errors.NoAnswerError`.
    """

    transport: Any

    def __init__(self) -> None:
        self.line: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        line, end, _ = data.partition(b"\n")
        self._parts.append(line)
        self._size += len(line)
        if self._size > MAX_ANSWER:
            self._fail(f"the answer has more than {MAX_ANSWER} bytes")
        elif end and not self.line.called:
            self.line.callback(b"".join(self._parts))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._fail("the service closed the connection before it had answered")

    def _fail(self, text: str) -> None:
        if not self.line.called:
            self.line.errback(NoAnswerError(text))
