"""What the paths of the site answer: values as JSON, or a text, now or later."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet import defer
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from natsroute.log import Logger

#: Seconds that an answer may take, such as one that other processes contribute to.
ANSWER_TIMEOUT = 10.0


@attrs.frozen
class Answer:
    """
    A response.

    :ivar status: the HTTP status.
    :ivar body: its body.
    :ivar content_type: the type of the body.
    :ivar headers: further headers.
    """

    status: int
    body: bytes
    content_type: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def json(cls, value: Any, status: int = 200, *, indent: int | None = None) -> Answer:
        """
        An answer whose body is a value that ``json.dumps()`` takes.

        :param indent: for people who read it. It takes five times as long.
        """
        body = json.dumps(value, indent=indent).encode("ascii") + b"\n"
        return cls(status, body, b"application/json; charset=utf-8")

    @classmethod
    def text(cls, text: str, status: int = 200, *headers: tuple[bytes, bytes]) -> Answer:
        """An answer whose body is a line of text."""
        return cls(status, text.encode() + b"\n", b"text/plain; charset=utf-8", headers)


class Answering(Resource):
    """
    A resource whose responses are the answers of a function.

    :param answer: called with each request. If its Deferred has not fired after :data:`ANSWER_TIMEOUT` seconds, or the
        client has gone, it is cancelled.
    """

    isLeaf = True
    log = Logger()

    def __init__(self, clock: IReactorTime, answer: Callable[[Request], Answer | Deferred[Answer]]) -> None:
        super().__init__()
        self._clock = clock
        self._answer = answer

    def render(self, request: Request) -> bytes | int:
        """Answer a request, of whatever method."""
        answering = as_deferred(lambda: self._answer(request))
        if not answering.called:
            answering.addTimeout(ANSWER_TIMEOUT, self._clock)
            request.notifyFinish().addErrback(lambda gone: answering.cancel())
        answering.addErrback(self._failed, request)
        answering.addCallback(_write, request)
        return NOT_DONE_YET

    def _failed(self, failure: Failure, request: Request) -> Answer:
        if failure.check(defer.CancelledError, defer.TimeoutError):
            return Answer.text(f"There was no answer within {ANSWER_TIMEOUT:.0f} s", 503)
        self.log.failure("The HTTP path {path!r} could not be answered", failure, path=request.path.decode("latin-1"))
        return Answer.text("This failed; natsroute's log has the reason", 500)


def as_deferred(function: Callable[[], Any]) -> Deferred[Any]:
    """What a function returns or raises, as a Deferred."""
    return maybeDeferred(function)


def _write(answer: Answer, request: Request) -> None:
    if getattr(request, "_disconnected", False):
        return
    request.setResponseCode(answer.status)
    request.setHeader(b"Content-Type", answer.content_type)
    request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    for name, value in answer.headers:
        request.setHeader(name, value)
    request.write(answer.body)
    request.finish()
