"""Requests without a server: the answers are given before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from natsroute import payloads
from natsroute.client.request_many import Until, check_seconds
from natsroute.daemon.memory.publisher import Published
from natsroute.daemon.sending.key_values import memory_buckets
from natsroute.errors import NatsrouteError, NoRespondersError, RequestTimeoutError
from natsroute.message import Message
from natsroute.routes.outgoing import REQUEST_TIMEOUT
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Address
from natsroute.wire.headers import HeaderValues, encode_headers
from natsroute.wire.subjects import check_pattern, overlaps

# What the answers are sent to.
_INBOX = "_INBOX.memory"
_LATE = object()


class MemoryRequests:
    """
    Answers requests with what :meth:`answer` was given. Everything is checked and encoded as in production.

    :param clock: the time that a request waits for an answer that is a Deferred.
    :param on_request: called with each request that is valid.

    :ivar key_value: gives a key-value bucket in memory.
    """

    def __init__(self, clock: IReactorTime, on_request: Callable[[Published], object]) -> None:
        self._clock = clock
        self._on_request = on_request
        self.key_value = memory_buckets(clock).key_value
        self._answers: dict[str, tuple[tuple[object, ...], bytes]] = {}  # by subject: payloads, and headers

    def answer(self, subject: str, *answers: object, headers: HeaderValues | None = None) -> None:
        """
        Answer the requests to a subject from now on, instead of what was given for it before.

        :param subject: may have wildcards. If several match a request, the last one counts.
        :param answers: what the request gets, or all that ``request_many`` gets: a payload as for ``publish()``; an
            exception, with which the request fails; or a function that is called with the request, a
            :class:`~natsroute.testing.Published`, and returns one of these or a Deferred. Without any, nobody answers.
        :param headers: of all these answers.
        :raises SubjectError: the subject is invalid.
        :raises HeaderError: a header is invalid.
        """
        check_pattern(subject)
        self._answers.pop(subject, None)
        self._answers[subject] = answers, encode_headers(headers) if headers else b""

    def request(
        self, subject: str, payload: object = b"", timeout: float = REQUEST_TIMEOUT, headers: HeaderValues | None = None
    ) -> Deferred[Any]:
        """As :meth:`natsroute.daemon.sending.requesting.Requesting.request`."""
        return self._ask(subject, payload, headers, Until(timeout, 1), None).addCallback(
            partial(_first, subject, timeout)
        )

    def request_many(
        self,
        subject: str,
        payload: object = b"",
        timeout: float = REQUEST_TIMEOUT,
        headers: HeaderValues | None = None,
        *,
        max_messages: int | None = None,
        stall: float | None = None,
        sentinel: Callable[[Message], object] | bool | None = None,
        on_answer: Callable[[Message], object] | None = None,
    ) -> Deferred[Any]:
        """As :meth:`natsroute.daemon.sending.requesting.Requesting.request_many`. All answers come at once."""
        return self._ask(subject, payload, headers, Until(timeout, max_messages, stall, sentinel), on_answer)

    def _ask(
        self,
        subject: str,
        payload: object,
        headers: HeaderValues | None,
        until: Until,
        on_answer: Callable[[Message], object] | None,
    ) -> Deferred[Any]:
        try:
            check_seconds("timeout", until.timeout)
            until.check()
            data = payloads.to_bytes(payload)
            encode_pub(subject, data, _INBOX, encode_headers(headers) if headers else b"")
        except NatsrouteError as error:
            return fail(error)
        request = Published(subject, data, _INBOX, headers)
        self._on_request(request)
        return Deferred.fromCoroutine(self._answered(request, until, on_answer))

    async def _answered(
        self, request: Published, until: Until, on_answer: Callable[[Message], object] | None
    ) -> list[Message]:
        answers, block = self._found(request.subject)
        kept: list[Message] = []
        take = kept.append if on_answer is None else on_answer
        ends = self._clock.seconds() + until.timeout
        for number, answer in enumerate(answers, 1):
            msg = await self._message(request, answer, block, ends - self._clock.seconds())
            if msg is None or until.is_end(msg):
                break
            take(msg)
            if number == until.max_messages:
                break
        return kept

    def _found(self, subject: str) -> tuple[tuple[object, ...], bytes]:
        for pattern, (answers, block) in reversed(self._answers.items()):
            if answers and overlaps(pattern, subject):
                return answers, block
        raise NoRespondersError(subject)

    async def _message(self, request: Published, answer: object, block: bytes, timeout: float) -> Message | None:
        """An answer; None if it does not come in time."""
        given = maybeDeferred(answer, request) if callable(answer) else answer
        if isinstance(given, Deferred):
            given = await given.addTimeout(timeout, self._clock, lambda result, seconds: _LATE)
        if given is _LATE:
            return None
        if isinstance(given, BaseException):
            raise given
        return Message(Address(_INBOX, 1), payloads.to_bytes(given), block)


def _first(subject: str, timeout: float, answers: list[Message]) -> Message:
    if not answers:
        raise RequestTimeoutError(subject, timeout)
    return answers[0]
