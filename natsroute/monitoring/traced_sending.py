"""
Traces whatever an event or a program sends with: publishes, answers and requests.

There is one function that knows how a publish is traced. Here the others are made to look like a publish to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed

from natsroute.routes.event import EventContext
from natsroute.routes.outgoing import REQUEST_TIMEOUT, Answer, Publish, Requests
from natsroute.wire.headers import HeaderValues

#: Makes a function that publishes as the given one does, and is traced.
Trace = Callable[[Any], Publish]


def traced_context(context: EventContext, trace: Trace, span: Any = None) -> EventContext:
    """
    The context of an event, with everything that sends traced.

    :param span: the span of the event, if it has one.
    """
    answer = context.answer
    return context.sending_with(
        trace(context.publish),
        TracedRequests(context.requests, trace),
        None if answer is None else partial(_answer, trace(partial(_write, answer))),
        span,
    )


class TracedRequests:
    """Sends requests. Their spans end with the answer."""

    def __init__(self, requests: Requests, trace: Trace) -> None:
        self._requests = requests
        self._trace = trace

    def request(
        self, subject: str, payload: object = b"", timeout: float = REQUEST_TIMEOUT, headers: HeaderValues | None = None
    ) -> Deferred[Any]:
        """See :class:`~natsroute.routes.outgoing.Requests`."""
        return self._trace(partial(_ask, self._requests.request, timeout))(subject, payload, None, headers)

    def request_many(
        self,
        subject: str,
        payload: object = b"",
        timeout: float = REQUEST_TIMEOUT,
        headers: HeaderValues | None = None,
        **until: Any,
    ) -> Deferred[Any]:
        """See :class:`~natsroute.routes.outgoing.Requests`."""
        ask = partial(self._requests.request_many, **until)
        return self._trace(partial(_ask, ask, timeout))(subject, payload, None, headers)

    @property
    def key_value(self) -> Callable[..., Any]:
        """See :class:`~natsroute.routes.outgoing.Requests`. What is done with a bucket has no span."""
        return self._requests.key_value


def _ask(
    ask: Callable[..., Deferred[Any]],
    timeout: float,
    subject: str,
    payload: object,
    reply: None,
    headers: HeaderValues | None,
) -> Deferred[Any]:
    return ask(subject, payload, timeout, headers)


def _write(answer: Answer, subject: str, payload: object, reply: None, headers: HeaderValues | None) -> Deferred[None]:
    return answer(subject, payload, headers) or succeed(None)


def _answer(publish: Publish, reply: str, payload: object, headers: HeaderValues | None = None) -> Deferred[None]:
    return publish(reply, payload, None, headers)
