"""What an event route is given."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime

from natsroute import payloads
from natsroute.errors import NatsrouteError, NoReplySubjectError
from natsroute.ledger import RouteCounters
from natsroute.wire.frames import Address, Msg
from natsroute.wire.headers import HeaderValues


class Publish(Interface):
    """How a route publishes; see :meth:`natsroute.publishing.publisher.Publisher.publish`."""

    def __call__(
        self,
        subject: str,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        *,
        policy: str | None = None,
        msg_id: str | None = None,
    ) -> Deferred[None]: ...


@attrs.frozen
class EventContext:
    """
    What the events of one route have in common.

    :ivar publish: how they publish.
    :ivar clock: the reactor, or what stands for it.
    :ivar counters: counts them; it has the name of the event route that fired.
    :ivar queue_group: the queue group of the subscription, or None.
    :ivar server: for connection events, the server's URL without credentials.
    :ivar error: for ``nats:error`` and ``nats:slow_consumer``, what is wrong.
    """

    publish: Publish
    clock: IReactorTime
    counters: RouteCounters
    queue_group: str | None = None
    server: str | None = None
    error: NatsrouteError | None = None


class Event(Msg):
    """
    A message on its way through an event route, or a connection that came or went.

    What is read from it is what was sent: the payload is binary-safe, and subject, reply subject and headers are those
    of the message itself.

    The parser makes it, since a message and an event for it would be two objects for each; who runs the route says
    which it is.

    :ivar context: what it has in common with the route's other events.
    """

    __slots__ = ("_attempts", "context")

    context: EventContext
    _attempts: int

    @classmethod
    def within(
        cls,
        context: EventContext,
        address: Address,
        data: bytes,
        header_block: bytes = b"",
        reply_to: bytes | None = None,
    ) -> Event:
        """The event of a message, for a route."""
        event = cls(address, data, header_block, reply_to)
        event.context = context
        return event

    @property
    def name(self) -> str:
        """The event route that fired, as ``nats:Kamailio-World``."""
        return self.context.counters.route

    @property
    def queue_group(self) -> str | None:
        """The queue group that the message came through, or None."""
        return self.context.queue_group

    @property
    def server(self) -> str | None:
        """For the events of a connection the server's URL without credentials; else None."""
        return self.context.server

    @property
    def error(self) -> NatsrouteError | None:
        """For ``nats:error`` what the server said, for ``nats:slow_consumer`` what is too slow; else None."""
        return self.context.error

    @property
    def attempts(self) -> int:
        """Which attempt this is, counted from 1; above that a retry."""
        return getattr(self, "_attempts", 1)

    @attempts.setter
    def attempts(self, number: int) -> None:
        self._attempts = number

    @property
    def counters(self) -> RouteCounters:
        """What has become of the messages of this route so far; middleware adds its own."""
        return self.context.counters

    @property
    def clock(self) -> IReactorTime:
        """The reactor's clock, or that of a test."""
        return self.context.clock

    def text(self) -> str:
        """
        The payload as UTF-8 text.

        :raises DecodeError: it is not UTF-8.
        """
        return payloads.to_text(self.data, self.subject)

    def json(self) -> Any:
        """
        The payload as JSON.

        :raises DecodeError: it is not JSON.
        """
        return payloads.to_json(self.data, self.subject)

    def publish(
        self,
        subject: str,
        payload: object,
        reply: str | None = None,
        headers: HeaderValues | None = None,
        *,
        policy: str | None = None,
        msg_id: str | None = None,
    ) -> Deferred[None]:
        """
        Publish a message; see :meth:`natsroute.publishing.publisher.Publisher.publish`.

        :return: fires when the server has the message.
        """
        if policy is None and msg_id is None:  # nearly always, and then a cheaper call
            return self.context.publish(subject, payload, reply, headers)
        return self.context.publish(subject, payload, reply, headers, policy=policy, msg_id=msg_id)

    #: The name that the function has in a Kamailio script.
    nats_publish = publish

    def respond(self, payload: object, headers: HeaderValues | None = None, **how: Any) -> Deferred[None]:
        """
        Answer to the message's reply subject.

        :return: fires when the server has the answer; fails with :class:`~natsroute.errors.NoReplySubjectError` if
            the message asked for none.
        """
        reply = self.reply
        if reply is None:
            return fail(NoReplySubjectError(f"the message on {self.subject} has no reply subject"))
        return self.context.publish(reply, payload, None, headers, **how)

    @classmethod
    def of_connection(cls, context: EventContext) -> Event:
        """A connection came or went, or something is wrong with it."""
        return cls.within(context, Address("", 0), b"")

    def __repr__(self) -> str:
        about = f"server={self.server!r}" if self.server else f"subject={self.subject!r}, {len(self.data)} bytes"
        return f"<Event {self.name} {about}>"


#: The function behind a route: it returns nothing, a Deferred, or a coroutine that may await Deferreds.
RouteFunction = Callable[[Event], "Deferred[Any] | Coroutine[Any, Any, Any] | object"]
#: A function around a route's function: takes it, and gives what runs instead of it.
Middleware = Callable[[RouteFunction], RouteFunction]
