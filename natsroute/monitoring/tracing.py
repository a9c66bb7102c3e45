"""
Tracing with OpenTelemetry: a span for each message that a route handles, and one for each publish.

Contexts (contextvars) do not follow the callbacks of a Deferred. So the span travels with the event: what a route
publishes through its event is a child of the event's span, whenever it does. Functions, coroutines and threads of a
route see the span as the current one, too.

The names of attributes are those of OpenTelemetry's semantic conventions for messaging, 1.45.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from natsroute import payloads
from natsroute._version import __version__
from natsroute.errors import PayloadError
from natsroute.log import PrintableFailure
from natsroute.monitoring.publish_target import Address, Target, unknown_server, unknown_target
from natsroute.monitoring.sampling import RateLimit, Rests, Sampler, Sampling
from natsroute.monitoring.trace_context import (
    MAX_TRACESTATE,
    RemoteParent,
    parent_headers,
    read_parent,
    replaces,
    with_parent,
)
from natsroute.monitoring.traced_messages import TracedMessages
from natsroute.monitoring.traced_sending import TracedRequests, traced_context
from natsroute.routes.event import Event, Middleware, RouteFunction
from natsroute.routes.outgoing import Publish, Requests
from natsroute.routes.results import PLAIN_TYPES, as_deferred
from natsroute.routes.route_errors import describe, is_exit
from natsroute.text import printable
from natsroute.wire.headers import HeaderValues, encode_headers

T = TypeVar("T")

#: Characters of a subject and of a traceback that a span has.
MAX_SUBJECT, MAX_TRACEBACK = 255, 8000

# Bytes that the publisher may add to the headers of a message, such as its Nats-Msg-Id; and with them, our headers.
_MARGIN = 100
_MAX_OWN = _MARGIN + 200 + MAX_TRACESTATE
_TEMPORARY = "_INBOX."
_ROUTE_PREFIX = "nats:"


class Tracing:
    """
    Traces the calls of event routes, and publishes.

    In a program with a publisher of its own::

        tracing = Tracing(provider)
        event_route = EventRoutes(middleware=[tracing.middleware()])
        publish = tracing.publish(service.publish)

    :param provider: an OpenTelemetry ``TracerProvider``. Its own sampler is asked for each message that ``sampling``
        lets pass.
    :param sampling: decides before anything is made for a message.
    :param target_of: returns the target of a subject. A message that is too large for a ``traceparent``, or whose
        server supports no headers, is published without.
    :param max_rate: traces a second that begin here. 0: there is no limit.
    :param clock: the reactor. With it, messages cost less while the limit lets no trace begin.
    """

    def __init__(
        self,
        provider: trace.TracerProvider,
        sampling: Sampling = Sampling(),
        target_of: Callable[[str], Target] = unknown_target,
        *,
        max_rate: int = 0,
        clock: IReactorTime | None = None,
    ) -> None:
        self._tracer = provider.get_tracer("natsroute", __version__.public())
        limit = RateLimit(max_rate) if clock is None else RateLimit(max_rate, clock.seconds)
        self._sampler = Sampler(sampling, limit)
        self._rests = None if clock is None else Rests(clock, limit)
        self._target_of = target_of
        self._context = copy_context()  # the coroutines of traced calls run in copies of it

    def stop(self) -> None:
        """Leave nothing in the reactor. Messages are traced all the same."""
        if self._rests is not None:
            self._rests.stop()

    # -- messages -----------------------------------------------------------------------------------------------------

    def middleware(self, server: Callable[[], Address | None] = unknown_server) -> Middleware:
        """
        Middleware that makes a span for each message. It goes outermost.

        :param server: returns the address of the server that messages come from.
        """
        return partial(self._around, self.for_messages(server))

    def for_messages(self, server: Callable[[], Address | None] = unknown_server) -> TracedMessages:
        """
        What traces the messages of a :class:`~natsroute.routes.traced_runner.TracedRunner`. It costs less than
        middleware.

        :param server: as for :meth:`middleware`.
        """
        return TracedMessages(self._sampler, partial(self._call, server), self._pass_on, self._rests)

    def _around(self, messages: TracedMessages, function: RouteFunction) -> RouteFunction:
        return lambda event: messages.call(function, event) if messages.wants(event) else function(event)

    def _pass_on(self, event: Event) -> None:
        """Let what an untraced event publishes carry the parent that its message had."""
        block = event.header_block
        event.context = traced_context(event.context, lambda publish: partial(self._publish_untraced, publish, block))

    def _call(self, server: Callable[[], Address | None], function: RouteFunction, event: Event) -> object:
        if event.context.server is not None:  # a connection event
            return function(event)
        parent = read_parent(event.header_block)
        context = Context() if parent is None else _remote(parent)
        span = self._tracer.start_span(*_about_event(event, server(), context))
        if not span.is_recording():  # the sampler of the provider does not want it
            if parent is not None:
                self._pass_on(event)
            return function(event)
        context = trace.set_span_in_context(span, context)
        publish_in = self._publish_in
        event.context = traced_context(
            event.context, lambda publish: partial(publish_in, publish, context, parent), span
        )
        token = attach(context)
        try:
            result = function(event)
        except BaseException:
            _failed(Failure(), span)
            raise
        finally:
            detach(token)
        if type(result) not in PLAIN_TYPES:
            own = self._context.copy()
            own.run(attach, context)
            ending = as_deferred(result, own)
            if ending is not None:
                return ending.addCallbacks(_succeeded, _failed, callbackArgs=(span,), errbackArgs=(span,))
        span.end()
        return result

    # -- publishes ----------------------------------------------------------------------------------------------------

    def publish(self, publish: Publish) -> Publish:
        """
        A function that publishes as the given one does, with a span.

        The span is a child of the current one, as in a coroutine of a route. Without a current one, the sampling
        decides. The publishes of an event need none of this: :meth:`middleware` adds their spans.
        """
        begins, trace_publish = self._sampler.begins, self._publish_in_current

        def traced_publish(
            subject: str,
            payload: object,
            reply: str | None = None,
            headers: HeaderValues | None = None,
            **options: Any,
        ) -> Deferred[None]:
            if get_current() or begins():
                return trace_publish(publish, subject, payload, reply, headers, **options)
            return publish(subject, payload, reply, headers, **options)

        return traced_publish

    def requests(self, requests: Requests) -> Requests:
        """What sends requests as the given object does, with spans as :meth:`publish` has them."""
        return TracedRequests(requests, self.publish)

    def _publish_in_current(
        self,
        publish: Publish,
        subject: str,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        **options: Any,
    ) -> Deferred[None]:
        context = get_current()
        current = trace.get_current_span(context).get_span_context()
        if current.is_valid and not current.trace_flags.sampled:
            return self._publish_with(publish, _own_headers(current), subject, payload, reply, headers, **options)
        if context and not current.is_valid and not self._sampler.begins():  # something else is in the context
            return publish(subject, payload, reply, headers, **options)
        return self._send(publish, context, None, subject, payload, reply, headers, **options)

    def _publish_in(
        self,
        publish: Publish,
        context: Context,
        received: RemoteParent | None,
        subject: str,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        **options: Any,
    ) -> Deferred[None]:
        """Publish for a traced event: in its span, or in a span that its route has begun in that."""
        current, event = trace.get_current_span().get_span_context(), trace.get_current_span(context)
        if current.is_valid and current.trace_id == event.get_span_context().trace_id:
            context = get_current()
        return self._send(publish, context, received, subject, payload, reply, headers, **options)

    def _send(
        self,
        publish: Publish,
        context: Context,
        received: RemoteParent | None,
        subject: Any,
        payload: object,
        reply: str | None,
        headers: HeaderValues | None,
        **options: Any,
    ) -> Deferred[None]:
        if not isinstance(subject, str):  # publish() says what is wrong
            return publish(subject, payload, reply, headers, **options)
        target, payload = self._target_of(subject), _serialised(payload)
        ours = headers is None or _safely(replaces, headers, received)
        links = () if ours or headers is None else _links(headers)
        span = self._tracer.start_span(*_about_publish(subject, payload, target.server, context, links))
        about = span.get_span_context()
        if ours and about.trace_flags.sampled:
            headers = _added(target, payload, headers, _own_headers(about))
        try:
            confirmed = publish(subject, payload, reply, headers, **options)
        except BaseException:
            _failed(Failure(), span)
            raise
        return confirmed.addCallbacks(_succeeded, _failed, callbackArgs=(span,), errbackArgs=(span,))

    def _publish_untraced(self, publish: Publish, block: bytes, *message: Any, **options: Any) -> Deferred[None]:
        """Publish for an untraced event, with the parent of its message."""
        parent = read_parent(block)
        return self._publish_with(publish, {} if parent is None else parent.headers, *message, **options)

    def _publish_with(
        self,
        publish: Publish,
        own: dict[str, str],
        subject: Any,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        **options: Any,
    ) -> Deferred[None]:
        """Publish without a span, with these headers unless the message has its own."""
        if isinstance(subject, str) and (headers is None or _safely(replaces, headers, None)):
            payload = _serialised(payload)
            headers = _added(self._target_of(subject), payload, headers, own)
        return publish(subject, payload, reply, headers, **options)


def _own_headers(span: SpanContext) -> dict[str, str]:
    return parent_headers(span.trace_id, span.span_id, span.trace_flags, span.trace_state.to_header())


def _remote(parent: RemoteParent) -> Context:
    """The context of a span of another program."""
    context = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([parent.tracestate]),
    )
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


def _about_event(
    event: Event, server: Address | None, context: Context
) -> tuple[str, Context, SpanKind, dict[str, str | int | bool]]:
    """The arguments of ``start_span()`` for a message."""
    subject, pattern = printable(event.subject, MAX_SUBJECT), event.name.removeprefix(_ROUTE_PREFIX)
    attributes = _attributes("process", "process", subject, server)
    attributes["messaging.message.body.size"] = len(event.data)
    if pattern != event.subject:
        attributes["messaging.destination.template"] = pattern
    if event.queue_group is not None:
        attributes["messaging.consumer.group.name"] = event.queue_group
    return f"process {printable(pattern, MAX_SUBJECT)}", context, SpanKind.CONSUMER, attributes


def _about_publish(
    subject: str, payload: object, server: Address | None, context: Context, links: tuple[Link, ...]
) -> tuple[str, Context, SpanKind, dict[str, str | int | bool], tuple[Link, ...]]:
    """The arguments of ``start_span()`` for a publish."""
    shown = printable(subject, MAX_SUBJECT)
    attributes = _attributes("publish", "send", shown, server)
    name = f"publish {shown}"
    if subject.startswith(_TEMPORARY):  # each of them is another one: a name of its own would group nothing
        attributes["messaging.destination.temporary"] = True
        name = "publish"
    if type(payload) is bytes:
        attributes["messaging.message.body.size"] = len(payload)
    return name, context, SpanKind.PRODUCER, attributes, links


def _attributes(name: str, kind: str, subject: str, server: Address | None) -> dict[str, str | int | bool]:
    attributes: dict[str, str | int | bool] = {
        "messaging.system": "nats",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": subject,
    }
    if server is not None:
        attributes["server.address"], attributes["server.port"] = server
    return attributes


def _serialised(payload: object) -> object:
    """A payload as bytes, as far as that is known now. An error is left to ``publish()``."""
    if callable(payload):
        return payload
    try:
        return payloads.to_bytes(payload)
    except PayloadError:
        return payload


def _added(target: Target, payload: object, headers: HeaderValues | None, own: dict[str, str]) -> HeaderValues | None:
    """Headers to publish with ours added, if the server takes the message then. An error is left to ``publish()``."""
    if not target.headers:
        return headers
    if headers is None and type(payload) is bytes and len(payload) + _MAX_OWN < target.max_payload:
        return own  # nearly always
    merged = own if headers is None else _safely(with_parent, headers, own)
    block = _safely(encode_headers, merged) if merged is not None else None
    if block is None:
        return headers
    size = len(payload) if type(payload) is bytes else 0
    return headers if size + len(block) + _MARGIN > target.max_payload else merged


def _links(headers: HeaderValues) -> tuple[Link, ...]:
    """A link to the ``traceparent`` that a route chose for a message."""
    block = _safely(encode_headers, headers)
    chosen = None if block is None else read_parent(block)
    return () if chosen is None else (Link(trace.get_current_span(_remote(chosen)).get_span_context()),)


def _safely(function: Callable[..., T], *arguments: Any) -> T | None:
    """Call a function with headers that a program gave. None, if they are malformed: ``publish()`` says how."""
    try:
        return function(*arguments)
    except Exception:
        return None


def _succeeded(result: T, span: Span) -> T:
    span.end()
    return result


def _failed(failure: Failure, span: Span) -> Failure:
    error = failure.value
    if error is not None and not is_exit(error):
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        reason, traceback = describe(error), PrintableFailure(failure).getTraceback()
        span.set_attribute("error.type", name)
        exception = {"exception.type": name, "exception.message": reason}
        exception["exception.stacktrace"] = traceback[-MAX_TRACEBACK:]
        span.add_event("exception", exception)
        span.set_status(Status(StatusCode.ERROR, reason))
    span.end()
    return failure
