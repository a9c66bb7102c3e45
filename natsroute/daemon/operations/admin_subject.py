"""
The admin methods over NATS: JSON-RPC requests to a subject, answered at their reply subjects.

It has a connection of its own, so that a refused subscription, or requests without end, do not concern event routes and
publish workers. Whoever may publish to the subject can call the methods, so it offers only those that change nothing,
and those that the settings name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from natsroute.admin.errors import MethodError
from natsroute.admin.methods import Methods
from natsroute.admin.rpc import Code, error_line
from natsroute.admin.server import MAX_REQUEST
from natsroute.client.connection import Connection
from natsroute.client.subscription import PendingLimits
from natsroute.errors import SubjectError
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Msg

#: Requests that may wait while another one is answered; further ones are dropped.
_PENDING = PendingLimits(100, 1024 * 1024, "drop_newest")


class AdminSubject(Service):
    """
    Answers requests, one after the other.

    :param connection: its connection, which somebody else starts.
    :param subject: the subject.
    :param methods: all methods. They may be added until the start.
    :param also: the names of methods that are offered although they change something.
    """

    def __init__(self, connection: Connection, subject: str, methods: Methods, also: Sequence[str]) -> None:
        self._connection = connection
        self._subject = subject
        self._methods = methods
        self._also = also
        self._offered = Methods()
        connection.subscribe(subject, self._on_msg, limits=_PENDING)

    def startService(self) -> None:
        """Choose the methods."""
        super().startService()
        self._offered = self._methods.only([*self._methods.reading, *self._also])

    def stopService(self) -> Deferred[None]:
        """Close the connection. Fires when it is closed."""
        super().stopService()
        return self._connection.stopService()

    def _on_msg(self, request: Msg) -> Deferred[Any] | None:
        if request.reply is None:
            return None  # the methods are for their results
        if len(request.data) > MAX_REQUEST:
            self._respond(_refusal(f"a request has at most {MAX_REQUEST} bytes"), request.reply)
            return None
        return self._offered.answer(request.data).addCallback(self._respond, request.reply)

    def _respond(self, answer: bytes | None, reply: str) -> None:
        limit = self._connection.max_payload
        if answer is None or limit is None:
            return  # a notification; or the connection is lost, and nobody waits any more
        answer = answer.rstrip(b"\n")
        if len(answer) > limit:
            text = f"the answer has {len(answer)} bytes; the server's max_payload is {limit}. Call a method for a part"
            answer = _refusal(text)
        try:
            command = encode_pub(reply, answer)
        except SubjectError:
            return  # the client has made it up
        self._connection.write_and_ping(command, 1).addErrback(lambda lost: None)


def _refusal(text: str) -> bytes:
    return error_line(None, MethodError(Code.FAILED, text)).rstrip(b"\n")
