"""Answers that go out on the connection that their message came over, without a confirmation."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from natsroute import payloads
from natsroute.client.connection import Connection
from natsroute.daemon.sending.reactor_thread import ReactorThread
from natsroute.errors import HeaderError, PayloadTooLargeError
from natsroute.routes.outgoing import Publish
from natsroute.wire.encoder import encode_answer
from natsroute.wire.headers import NO_HEADERS, HeaderValues, encode_headers


class Answering:
    """
    Answers the messages of one connection.

    :param publish: publishes an answer when there is no connection: whoever asked may have another server, and wait.
    """

    def __init__(self, connection: Connection, publish: Publish, thread: ReactorThread) -> None:
        self._connection = connection
        self._publish = publish
        self._thread = thread

    def answer(self, reply: str, payload: object, headers: HeaderValues | None = None) -> Deferred[None] | None:
        """
        Send an answer. The server does not confirm it, and it is not in the ledger. Call this from any thread.

        :param reply: the reply subject of the message.
        :param payload: bytes are sent as they are, a string as UTF-8, anything else as JSON.
        :return: None if the answer was written. Otherwise a Deferred that fires in the reactor thread: another thread
            calls this, or there is no connection, and the answer is published.
        :raises PayloadError: the payload cannot be serialised, or the answer is above the server's ``max_payload``.
        :raises HeaderError: a header is invalid, or the server does not support headers.
        :raises SubjectError: the reply subject is invalid.
        """
        data = payload if type(payload) is bytes else payloads.to_bytes(payload)
        block = encode_headers(headers) if headers else b""
        command = encode_answer(reply, data, block)
        size = len(data) + len(block)
        if self._thread.is_current:
            return self._write(reply, command, size, data, headers)
        return self._thread.run(self._write, reply, command, size, data, headers)

    def _write(
        self, reply: str, command: bytes, size: int, data: bytes, headers: HeaderValues | None
    ) -> Deferred[None] | None:
        info = self._connection.info
        if info is None:
            return self._publish(reply, data, None, headers)
        if size > info.max_payload:
            raise PayloadTooLargeError(size, info.max_payload)
        if headers and not info.headers:
            raise HeaderError(NO_HEADERS)
        self._connection.write(command, 1)
        return None
