"""What an event route is given."""

from __future__ import annotations

from typing import Any
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred, fail

from natsroute import payloads
from natsroute.errors import NoReplySubjectError, ServerError
from natsroute.wire.frames import Msg, MsgLine
from natsroute.wire.headers import HeaderValues


class Publish(Interface):
    """How a route publishes; see :meth:`natsroute.publishing.publisher.Publisher.publish`."""

    def __call__(
        self, subject: str, payload: object, reply: str | None = None, headers: HeaderValues | None = None
    ) -> Deferred[None]: ...


@attrs.frozen
class Scope:
    """
    What the events of one route have in common.

    :ivar name: the event route that fired.
    :ivar queue_group: the queue group of the subscription, or None.
    :ivar server: for connection events, the server's URL without credentials.
    :ivar error: for ``nats:error``, what the server said.
    """

    name: str
    publish: Publish
    queue_group: str | None = None
    server: str | None = None
    error: ServerError | None = None


class Event(Msg):
    """
    A message on its way through an event route, or a connection that came or went.

    What is read from it is what was sent: the payload is binary-safe, and subject, reply subject and headers are those
    of the message itself.

    The parser makes it, since a message and an event for it would be two objects for each; who runs the route says
    which it is.

    :ivar scope: what it has in common with the route's other events.
    """

    __slots__ = ("scope",)

    scope: Scope

    @classmethod
    def within(cls, scope: Scope, line: MsgLine, data: bytes, header_block: bytes = b"") -> Event:
        """The event of a message, for a route."""
        event = cls(line, data, header_block)
        event.scope = scope
        return event

    @property
    def name(self) -> str:
        """The event route that fired, as ``nats:Kamailio-World``."""
        return self.scope.name

    @property
    def queue_group(self) -> str | None:
        """The queue group that the message came through, or None."""
        return self.scope.queue_group

    @property
    def server(self) -> str | None:
        """For the events of a connection the server's URL without credentials; else None."""
        return self.scope.server

    @property
    def error(self) -> ServerError | None:
        """For ``nats:error`` what the server said; else None."""
        return self.scope.error

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
        self, subject: str, payload: object, reply: str | None = None, headers: HeaderValues | None = None
    ) -> Deferred[None]:
        """
        Publish a message; see :meth:`natsroute.publishing.publisher.Publisher.publish`.

        :return: fires when the server has the message.
        """
        return self.scope.publish(subject, payload, reply, headers)

    #: The name that the function has in a Kamailio script.
    nats_publish = publish

    def respond(self, payload: object, headers: HeaderValues | None = None) -> Deferred[None]:
        """
        Answer to the message's reply subject.

        :return: fires when the server has the answer; fails with :class:`~natsroute.errors.NoReplySubjectError` if
            the message asked for none.
        """
        if self.reply is None:
            return fail(NoReplySubjectError(f"the message on {self.subject} has no reply subject"))
        return self.scope.publish(self.reply, payload, None, headers)

    @classmethod
    def of_connection(
        cls,
        name: str,
        publish: Publish,
        server: str,
        queue_group: str | None = None,
        error: ServerError | None = None,
    ) -> Event:
        """A connection came or went, or its server said that something is wrong."""
        return cls.within(Scope(name, publish, queue_group, server, error), MsgLine("", 0, None, 0, 0), b"")

    def __repr__(self) -> str:
        about = f"server={self.server!r}" if self.server else f"subject={self.subject!r}, {len(self.data)} bytes"
        return f"<Event {self.name} {about}>"
