"""The requests of a service, over a connection of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime

from natsroute import payloads
from natsroute.client.request_many import Until
from natsroute.client.requests import Requests
from natsroute.daemon.connections import Connections
from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.errors import NatsrouteError
from natsroute.ledger import RequestsAccount
from natsroute.message import Message
from natsroute.routes.outgoing import REQUEST_TIMEOUT
from natsroute.wire.headers import HeaderValues, encode_headers


class Requesting:
    """
    Sends the requests of routes, of the program and of JetStream.

    :param inbox_prefix: what reply subjects begin with.
    :param needed: whether the settings need the connection, so that the service is not ready without it. Otherwise it
        is made when the first request is.

    :ivar connection: the connection.
    :ivar requests: matches the answers to the requests.
    :ivar key_value: gives a key-value bucket; whoever builds the buckets sets it.
    """

    key_value: Callable[..., Any]

    def __init__(
        self,
        connections: Connections,
        clock: IReactorTime,
        thread: ReactorThread,
        *,
        inbox_prefix: str,
        needed: bool,
    ) -> None:
        new = connections.new if needed else connections.new_idle
        self._connections = connections
        self._thread = thread
        self.connection = new("requests", Message)
        self.requests = Requests(self.connection, clock, inbox_prefix=inbox_prefix)

    def account(self) -> RequestsAccount:
        """What became of the requests so far, without those that could not be encoded."""
        requests = self.requests
        return RequestsAccount(
            requests.requested, requests.answered, requests.failed, requests.pending, requests.inbox.late
        )

    def request(
        self, subject: str, payload: object = b"", timeout: float = REQUEST_TIMEOUT, headers: HeaderValues | None = None
    ) -> Deferred[Any]:
        """
        Send a request, and wait for the answer.

        Call this from any thread; the Deferred always fires in the reactor thread. To wait in another thread, use
        ``blockingCallFromThread(reactor, event.request, subject, payload)``.

        :param payload: bytes are sent as they are, a string as UTF-8, anything else as JSON.
        :param timeout: seconds until the answer must be there, the wait for a connection included.
        :param headers: NATS headers, each with one value or several.
        :return: fires with the answer, a :class:`~natsroute.message.Message`. Cancelling it ends the wait. It fails as
            :meth:`natsroute.client.requests.Requests.request` does, and with
            :class:`~natsroute.errors.PayloadError` or :class:`~natsroute.errors.HeaderError` if the message cannot be
            encoded.
        """
        try:
            data = payloads.to_bytes(payload)
            block = encode_headers(headers) if headers else b""
        except NatsrouteError as error:
            return fail(error)
        if self._thread.is_current:
            return self._request(subject, data, timeout, block)
        return self._thread.run(self._request, subject, data, timeout, block)

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
    ) -> Deferred[list[Message]]:
        """
        Send a request, and wait for several answers, as NATS ADR-47 describes.

        The first of the conditions ends the wait. Call this from any thread, as :meth:`request`.

        :param timeout: seconds that the whole takes at most.
        :param max_messages: the number of answers that are enough.
        :param stall: seconds that the next answer may take, once there was one.
        :param sentinel: True: an answer with an empty payload is the mark of the end. Or a function that says of each
            answer whether it is. The mark itself is not among the answers.
        :param on_answer: called in the reactor thread with each answer as it arrives, instead of keeping it. If it
            raises, the wait ends, and the Deferred fails with that.
        :return: fires with the list of answers; it is empty if there were none in time, or if there is ``on_answer``.
            Cancelling it ends the wait. It fails as that of :meth:`request`, but not for the want of an answer;
            :class:`~natsroute.errors.NoRespondersError` too, if nobody is subscribed to the subject.
        """
        until = Until(timeout, max_messages, stall, sentinel)
        try:
            data = payloads.to_bytes(payload)
            block = encode_headers(headers) if headers else b""
        except NatsrouteError as error:
            return fail(error)
        if self._thread.is_current:
            return self._request_many(subject, data, until, block, on_answer)
        return self._thread.run(self._request_many, subject, data, until, block, on_answer)

    def _request(self, subject: str, data: bytes, timeout: float, block: bytes) -> Deferred[Any]:
        self._connections.start_when_possible(self.connection)
        return self.requests.request(subject, data, timeout, block)

    def _request_many(
        self, subject: str, data: bytes, until: Until, block: bytes, on_answer: Callable[[Any], object] | None
    ) -> Deferred[Any]:
        self._connections.start_when_possible(self.connection)
        return self.requests.request_many(subject, data, until, block, on_answer)
