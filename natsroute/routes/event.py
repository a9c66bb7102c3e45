"""The event that a route gets, and the types of the functions that get it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from threading import Lock
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from natsroute.errors import MisuseError, NatsrouteError, NoReplySubjectError
from natsroute.hot import shorten_publish
from natsroute.ledger import RouteCounters
from natsroute.message import Message
from natsroute.routes.outgoing import (
    REQUEST_TIMEOUT,
    Answer,
    NoRequests,
    Publish,
    PublishAll,
    RefusePublish,
    Requests,
    no_publish_all,
)
from natsroute.routes.stream_message import Acknowledgement, StreamMessage
from natsroute.wire.frames import Address
from natsroute.wire.headers import HeaderValues

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from natsroute.wire.publish_options import PublishOptions


class Expressions(Interface):
    """
    Evaluates the pseudo-variables of Kamailio for the events of one consumer.

    The package ``kamailio`` has them. It depends on this one, so the composition root hands them in.
    """

    def new_variables(self) -> Any:
        """What belongs to one event. The event keeps it, and passes it to the other two."""

    def pv(self, event: Event, variables: Any, expression: str) -> int | str | None:
        """See :meth:`Event.pv`."""

    def set_pv(self, event: Event, variables: Any, expression: str, value: int | str | bytes | None) -> None:
        """See :meth:`Event.set_pv`."""

    def format(self, event: Event, variables: Any, text: str) -> str:
        """See :meth:`Event.format`."""


@attrs.frozen
class EventContext:
    """
    What the events of one route have in common.

    :ivar publish: publishes for the route.
    :ivar clock: the reactor, or the clock of a test.
    :ivar counters: counts the events. It has the name of the event route.
    :ivar queue_group: the queue group of the subscription, or None.
    :ivar server: for connection events, the server's URL without credentials.
    :ivar error: for ``nats:error`` and ``nats:slow_consumer``, what went wrong.
    :ivar reject: fails the Deferred of a message that the route cannot publish.
    :ivar expressions: evaluates pseudo-variables; None in tests that need none.
    :ivar span: the span of the call; see :attr:`Event.span`.
    :ivar version: stands for the version of the code that the event runs in. It differs from that of every other one.
    :ivar requests: sends requests for the route.
    :ivar answer: answers messages without a confirmation; None: answers are published as anything else.
    :ivar acknowledgement: how messages of a JetStream consumer are acknowledged; None if they come from elsewhere.
    :ivar publish_all: publishes batches for the route.
    """

    publish: Publish
    clock: IReactorTime
    counters: RouteCounters
    queue_group: str | None = None
    server: str | None = None
    error: NatsrouteError | None = None
    reject: RefusePublish = fail
    expressions: Expressions | None = None
    span: Any = None
    version: object = None
    requests: Requests = NoRequests()
    answer: Answer | None = None
    acknowledgement: Acknowledgement | None = None
    publish_all: PublishAll = no_publish_all

    def sending_with(
        self, publish: Publish, requests: Requests, answer: Answer | None, span: Any = None
    ) -> EventContext:
        """The same, with other means to send. (``attrs.evolve()`` costs three times as much, for each message.)"""
        return EventContext(
            publish,
            self.clock,
            self.counters,
            self.queue_group,
            self.server,
            self.error,
            self.reject,
            self.expressions,
            span,
            self.version,
            requests,
            answer,
            self.acknowledgement,
            self.publish_all,
        )

    def respond(self, reply: str, payload: object, headers: HeaderValues | None = None) -> Deferred[None] | None:
        """
        Answer a message without a confirmation, if that is possible.

        :param reply: the reply subject of the message.
        :return: None if the answer was written; otherwise as :attr:`publish`.
        :raises NatsrouteError: the answer cannot be encoded, or is too large.
        """
        if self.answer is None:
            return self.publish(reply, payload, None, headers)
        return self.answer(reply, payload, headers)


#: Held while an event gets its variables: after a timeout, two threads may have the same event.
_new_variables = Lock()


class Event(StreamMessage):
    """
    A message on its way through an event route, or a connection event.

    The parser creates the event, because a message and an event around it would be two objects for each message. The
    runner then adds the context.

    :ivar context: what the event has in common with the route's other events.
    """

    __slots__ = ("_attempts", "_variables", "context")

    context: EventContext
    _attempts: int
    _variables: Any  # of its expressions; not set before the first one, because most events have none

    @classmethod
    def of_message(
        cls,
        context: EventContext,
        address: Address,
        data: bytes,
        header_block: bytes = b"",
        reply_to: bytes | None = None,
    ) -> Event:
        """The event for a message that a route is to handle."""
        event = cls(address, data, header_block, reply_to)
        event.context = context
        return event

    @classmethod
    def of_connection(cls, context: EventContext) -> Event:
        """The event for a connection that came up, went down or has a problem."""
        return cls.of_message(context, Address("", 0), b"")

    @property
    def name(self) -> str:
        """The name of the event route, such as ``nats:Kamailio-World``."""
        return self.context.counters.route

    @property
    def queue_group(self) -> str | None:
        """The queue group that the message came through, or None."""
        return self.context.queue_group

    @property
    def server(self) -> str | None:
        """For a connection event, the server's URL without credentials; else None."""
        return self.context.server

    @property
    def error(self) -> NatsrouteError | None:
        """For ``nats:error`` the server's error, for ``nats:slow_consumer`` the reason; else None."""
        return self.context.error

    @property
    def acknowledgement(self) -> Acknowledgement | None:
        """How it is acknowledged; None if it comes from no JetStream consumer. For middleware."""
        return self.context.acknowledgement if hasattr(self, "context") else None

    @property
    def attempts(self) -> int:
        """The number of this attempt, from 1; above 1 it is a retry. For a message of a stream, of its deliveries."""
        attempts: int | None = getattr(self, "_attempts", None)
        return self.delivered or 1 if attempts is None else attempts

    @attempts.setter
    def attempts(self, number: int) -> None:
        self._attempts = number

    @property
    def counters(self) -> RouteCounters:
        """The counters of this route. Middleware may count retries and dead letters here, and read the others."""
        return self.context.counters

    @property
    def span(self) -> Any:
        """
        The OpenTelemetry span of this call, for attributes and events of your own; None if the call is not traced.

        (Typed as Any: natsroute works without OpenTelemetry.)
        """
        return self.context.span

    @property
    def clock(self) -> Any:
        """
        The reactor's clock, or that of a test: an :class:`~twisted.internet.interfaces.IReactorTime`.

        (Typed as Any: without mypy-zope, mypy takes each call of an interface's method for an error.)
        """
        return self.context.clock

    def pv(self, expression: str) -> int | str | None:
        """
        The value of a pseudo-variable of Kamailio, with its transformations::

            event.pv("$(natsData{json.parse,From}{uri.user})")

        It may be called from any thread. docs/kamailio/variables.md and transformations.md list what there is.

        :param expression: one variable. It is compiled once and remembered, so it is best a constant. Never make it out
            of what was received: ``$env(…)`` would show the environment.
        :return: an integer or text, as the variable or its last transformation gives; None if it is null, or if a
            transformation cannot be applied for this event, which is logged once for each expression.
        :raises ExpressionError: it is not an expression, or names a variable or transformation that does not exist.
        :raises DecodeError: the value is not UTF-8.
        """
        return self._expressions().pv(self, self.variables, expression)

    def set_pv(self, expression: str, value: int | str | bytes | None) -> None:
        """
        Assign to a pseudo-variable of Kamailio, so that a script that calls this function sees the value::

            event.set_pv("$var(user)", "alice")

        :param expression: one variable without transformations, as for :meth:`pv`.
        :param value: None is null. Bytes may be of any kind.
        :raises ExpressionError: it is not an expression, or names a variable that does not exist.
        :raises EvaluationError: the variable cannot be assigned to.
        """
        self._expressions().set_pv(self, self.variables, expression, value)

    def format(self, text: str) -> str:
        """
        A text with the values of its pseudo-variables::

            event.format("received update for $(natsData{json.parse,From})")

        It may be called from any thread.

        :param text: as for :meth:`pv`; ``$$`` is a dollar sign. A variable that is null shows as ``<null>``. One that
            has no value for this event is left out.
        :raises ExpressionError: a variable in it is not an expression, or does not exist.
        :raises DecodeError: a value in it is not UTF-8.
        """
        return self._expressions().format(self, self.variables, text)

    @property
    def variables(self) -> Any:
        """
        What belongs to this event alone among the variables of Kamailio, such as its ``$avp``.

        :raises MisuseError: the event was made without anything that evaluates expressions.
        """
        if hasattr(self, "_variables"):
            return self._variables
        expressions = self._expressions()
        with _new_variables:
            if not hasattr(self, "_variables"):
                self._variables = expressions.new_variables()
        return self._variables

    def reset_variables(self) -> Any:
        """
        Give the event new variables, and return them. A script does so when it begins.

        It is much faster than to look for variables that are not there.

        :raises MisuseError: as :attr:`variables`.
        """
        expressions = self.context.expressions or self._expressions()
        self._variables = variables = expressions.new_variables()
        return variables

    def _expressions(self) -> Expressions:
        """What evaluates its expressions."""
        expressions = self.context.expressions
        if expressions is None:
            raise MisuseError("there is nothing that evaluates expressions for this event")
        return expressions

    def publish(
        self,
        subject: str,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        **options: Unpack[PublishOptions],
    ) -> Deferred[Any]:
        """
        Publish a message; see :meth:`natsroute.publishing.outlet.Outlet.publish`. Any thread may call it.

        :return: fires in the reactor's thread: with None when the server has the message, or with a stream's PubAck.
        """
        if not options:  # nearly always, and then a cheaper call
            return self.context.publish(subject, payload, reply, headers)
        return self.context.publish(subject, payload, reply, headers, **options)

    #: The name of the function in a Kamailio script.
    nats_publish = publish

    def publish_all(self, messages: Iterable[Any], *, policy: str | None = None) -> Deferred[Any]:
        """As :mod:`natsroute.daemon.sending.batch_publish` has it: a stream stores all of them or none."""
        return self.context.publish_all(messages, policy=policy)

    def respond(
        self,
        payload: object,
        headers: HeaderValues | None = None,
        *,
        policy: str | None = None,
        msg_id: str | None = None,
        confirm: bool = True,
    ) -> Deferred[None]:
        """
        Publish an answer to the message's reply subject. See :meth:`publish` for the arguments.

        :param confirm: False: write the answer at once, over the connection that the message came over, and do not let
            the server confirm it, which takes less time. ``policy`` and ``msg_id`` have no effect then,
            the payload must not be a callable, and the answer is not in the ledger, because nobody learns what becomes
            of it. Without a connection it is published as with ``confirm=True``.
        :return: fires when the server has the answer; with ``confirm=False`` it has fired already, unless another
            thread than the reactor's calls this. It fails with :class:`~natsroute.errors.NoReplySubjectError` if
            the message has no reply subject. That counts as a message that was not published, and if nobody handles
            the failure, it is in the log once a minute.
        """
        reply = self.reply
        if reply is None:
            return self.context.reject(NoReplySubjectError(f"the message to {self.subject} has no reply subject"))
        if not confirm:
            try:
                return self.context.respond(reply, payload, headers) or succeed(None)
            except NatsrouteError as error:
                return self.context.reject(error)
        options: PublishOptions = {} if policy is None is msg_id else {"policy": policy, "msg_id": msg_id}
        return self.publish(reply, payload, None, headers, **options)

    def request(
        self, subject: str, payload: object = b"", timeout: float = REQUEST_TIMEOUT, headers: HeaderValues | None = None
    ) -> Deferred[Message]:
        """
        Send a request, and wait for the answer; see
        :meth:`natsroute.daemon.sending.requesting.Requesting.request` for the arguments and errors.
        """
        return self.context.requests.request(subject, payload, timeout, headers)

    def key_value(self, bucket: str) -> Any:
        """
        A key-value bucket; see :class:`natsroute.jetstream.key_value.key_value.KeyValue` for its methods. Call this,
        and them, in the reactor thread.

        :param bucket: its name.
        :raises SubjectError: the name is invalid.
        """
        return self.context.requests.key_value(bucket)

    def request_many(
        self,
        subject: str,
        payload: object = b"",
        timeout: float = REQUEST_TIMEOUT,
        headers: HeaderValues | None = None,
        **until: Any,
    ) -> Deferred[list[Message]]:
        """As :meth:`request`; see :meth:`natsroute.daemon.sending.requesting.Requesting.request_many`."""
        return self.context.requests.request_many(subject, payload, timeout, headers, **until)

    def __repr__(self) -> str:
        about = f"server={self.server!r}" if self.server else f"subject={self.subject!r}, {len(self.data)} bytes"
        return f"<Event {self.name} {about}>"


shorten_publish(Event)

#: The function of an event route. It returns a coroutine or a Deferred to wait for, or anything else, which is ignored.
RouteFunction = Callable[[Event], "Deferred[Any] | Coroutine[Any, Any, Any] | object"]
#: Middleware: takes the function of a route and returns the function to call instead of it.
Middleware = Callable[[RouteFunction], RouteFunction]
