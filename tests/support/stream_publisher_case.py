"""A test case with a publisher to streams, and a server in memory."""

from __future__ import annotations

import re
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from natsroute import payloads
from natsroute.confirmation import Confirmation, UnhandledFailureLog, new_confirmation_class
from natsroute.daemon.sending.joining import join
from natsroute.jetstream.publishing.stream_options import StreamPublishOptions
from natsroute.jetstream.publishing.stream_publisher import JetStreamPublisher
from natsroute.publishing.buffer import Buffer
from natsroute.publishing.options import PublishLimits
from natsroute.wire.encoder import split_pubs
from natsroute.wire.headers import Headers, encode_headers, parse_headers
from tests.support.connection_case import ConnectionTestCase
from tests.support.memory_publisher import MemoryPool

NO_RESPONDERS = b"NATS/1.0 503\r\n\r\n"


@attrs.frozen
class Written:
    """A message that was written."""

    subject: str
    reply: str
    headers: Headers
    data: bytes


class StreamPublisherTestCase(ConnectionTestCase):
    """
    A publisher, not connected yet.

    :cvar options: its options.
    :cvar limits: the limits of its buffer.
    """

    options = StreamPublishOptions(window=100, ack_timeout=5.0, max_age=60.0)
    limits = PublishLimits(messages=100, bytes=100_000)

    def setUp(self) -> None:
        super().setUp()
        self.marks: list[str] = []
        self.pool = MemoryPool()
        self.client = self.connection()
        self.buffer = Buffer(self.limits, lambda: self.marks.append("high"), lambda: self.marks.append("low"))
        self.publisher = JetStreamPublisher(
            self.client, self.clock, self.pool, self.buffer, UnhandledFailureLog(self.clock), self.options
        )
        join(self.client, self.publisher)
        self._new_confirmation = new_confirmation_class(self.publisher.cancelled)
        self._sequence = 0

    def publish(
        self, subject: str, payload: Any, headers: dict[str, str] | None = None, policy: str = "keep"
    ) -> Deferred[Any]:
        """Publish a message; a callable payload is made by the pool."""
        confirmation: Confirmation = self._new_confirmation()
        target = self.publisher.subject(subject)
        if headers is None and isinstance(payload, bytes):
            target.add(confirmation, payload, policy)
        else:
            block = encode_headers(headers) if headers else b""
            data = payload if isinstance(payload, bytes) else lambda: payloads.to_bytes(payload())
            target.add_with_headers(confirmation, data, block, policy)
        return confirmation

    def turn(self) -> list[Written]:
        """Let a turn of the reactor pass. Returns what was written."""
        self.clock.advance(0)
        return self.written()

    def written(self) -> list[Written]:
        """The messages that were written since the last call."""
        said = self.network.link.transport.sent()
        said = re.sub(rb"^(?:PING|SUB [^\r]*|CONNECT [^\r]*)\r\n", b"", said, flags=re.MULTILINE)
        messages = []
        for command in split_pubs(said):
            line, _, rest = command.partition(b"\r\n")
            _, subject, reply, size, _ = line.decode().split(" ")
            block, data = rest[: int(size)], rest[int(size) : -2]
            messages.append(Written(subject, reply, parse_headers(block), data))
        return messages

    def answer(self, written: Written, data: bytes, block: bytes = b"") -> None:
        """Something answers a message."""
        sizes = b"%d %d" % (len(block), len(block) + len(data)) if block else b"%d" % len(data)
        command = b"HMSG" if block else b"MSG"
        self.network.link.receive(b"%b %b 1 %b\r\n%b%b\r\n" % (command, written.reply.encode(), sizes, block, data))

    def acknowledge(self, *written: Written) -> None:
        """The stream acknowledges messages."""
        for one in written:
            self._sequence += 1
            self.answer(one, b'{"stream":"CALLS","seq":%d}' % self._sequence)

    def refuse(self, written: Written, code: int, err_code: int, text: str) -> None:
        """The stream refuses a message."""
        error = b'{"code":%d,"err_code":%d,"description":"%b"}' % (code, err_code, text.encode())
        self.answer(written, b'{"error":%b,"stream":"CALLS","seq":0}' % error)

    def no_responders(self, *written: Written) -> None:
        """No stream takes the subject."""
        for one in written:
            self.answer(one, b"", NO_RESPONDERS)

    def counts(self) -> tuple[int, int, int, int, int]:
        """Published, confirmed, failed, dropped and in progress; and the books are balanced."""
        account = self.publisher.account()
        parts = (account.confirmed, account.failed, account.dropped, account.in_progress)
        self.assertEqual(account.published, sum(parts), account)
        self.assertEqual(self.buffer.messages, account.in_progress)
        if not account.in_progress:
            self.assertEqual(self.buffer.bytes, 0)
        return (account.published, *parts)

    def reconnect(self) -> list[Written]:
        """The connection is lost, and there is another one. Returns what is written then."""
        links = len(self.network.links)
        self.network.link.lose()
        while len(self.network.links) == links:
            self.clock.advance(1.0)
        self.accept()
        return self.turn()
