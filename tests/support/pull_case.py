"""A test case with a pull consumer, and this test as its server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.client.connection import Connection
from natsroute.client.requests import Requests
from natsroute.client.server_pool import Backoff
from natsroute.jetstream.consuming.acks import Acks
from natsroute.jetstream.consuming.pull_consumer import PullConsumer
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.errors import JetStreamError
from natsroute.wire.frames import Msg
from tests.support.connection_case import ConnectionTestCase

_PULL = re.compile(rb"PUB \$JS\.API\.CONSUMER\.MSG\.NEXT\.S\.D (\S+) \d+\r\n(.*)\r\n")


class MemoryApi:
    """
    Answers the questions for a consumer.

    :ivar answer: what it answers, an exception to raise, or None: it does not answer.
    :ivar asked: how often it was asked.
    """

    prefix = "$JS.API"

    def __init__(self) -> None:
        self.answer: Mapping[str, Any] | Exception | None = info()
        self.asked: list[str] = []

    async def call(self, method: str, request: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """See :meth:`natsroute.jetstream.api.JetStreamApi.call`."""
        self.asked.append(method)
        if self.answer is None:
            await Deferred()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return self.answer


def info(num_pending: int = 0, **config: Any) -> dict[str, Any]:
    """An answer of ``CONSUMER.INFO``."""
    return {
        "stream_name": "S",
        "name": "D",
        "created": "2026-11-26T00:00:00Z",
        "delivered": {"consumer_seq": 0, "stream_seq": 0},
        "ack_floor": {"consumer_seq": 0, "stream_seq": 0},
        "num_pending": num_pending,
        "config": {"ack_policy": "explicit", "ack_wait": 30_000_000_000, "max_deliver": -1, **config},
    }


class PullCase(ConnectionTestCase):
    """
    A pull consumer of stream ``S`` and consumer ``D``.

    :ivar problems: the problems that it reported.
    :ivar busy: what the receiver returns.
    """

    def setUp(self) -> None:
        super().setUp()
        self.client: Connection = self.connection()
        self.api = MemoryApi()
        self.acks = Acks(self.client, Requests(self.client, self.clock), self.clock)
        self.problems: list[JetStreamError | None] = []
        self.busy: Deferred[None] | None = None
        self._sequence = 0
        self._said = b""

    def consumer(self, options: PullOptions = PullOptions(batch=10), **more: Any) -> PullConsumer:
        """A consumer that is not started."""
        return PullConsumer(
            self.client,
            self.api,  # type: ignore[arg-type]
            self.acks,
            "S",
            "D",
            self._received,
            options,
            clock=self.clock,
            on_problem=self.problems.append,
            retry=Backoff(1.0, 8.0, 0.0),
            **more,
        )

    def consuming(self, options: PullOptions = PullOptions(batch=10), **more: Any) -> PullConsumer:
        """A consumer that is started and connected."""
        consumer = self.consumer(options, **more)
        consumer.start()
        self.connected(self.client)
        return consumer

    def reconnect(self) -> bytes:
        """Lose the connection, and let the next one succeed. Returns what the client wrote with its login."""
        self.network.link.lose()
        self.clock.advance(2.0)
        return self.network.link.shake_hands()

    def _received(self, msg: Msg) -> Deferred[None] | None:
        self.messages.append(msg)
        return self.busy

    def said(self) -> bytes:
        """What was written since the last call, without PINGs, which are answered."""
        return self.network.link.answer_pings().replace(b"PING\r\n", b"")

    def pulls(self) -> list[dict[str, Any]]:
        """The pulls that were sent since the last call, each with its reply subject as ``reply``."""
        return [{"reply": reply.decode(), **json.loads(text)} for reply, text in _PULL.findall(self.said())]

    def batches(self) -> list[int]:
        """The sizes of the pulls that were sent since the last call."""
        return [pull["batch"] for pull in self.pulls()]

    def deliver(self, count: int = 1, data: bytes = b"x", *, delivered: int = 1, headers: bytes = b"") -> None:
        """The server delivers messages of the stream."""
        for _ in range(count):
            self._sequence += 1
            reply = b"$JS.ACK.S.D.%d.%d.%d.1700000000000000000.7" % (delivered, self._sequence, self._sequence)
            if headers:
                block = b"NATS/1.0\r\n%b\r\n\r\n" % headers
                sizes = b"%d %d" % (len(block), len(block) + len(data))
                self.network.link.receive(b"HMSG calls 1 %b %b\r\n%b%b\r\n" % (reply, sizes, block, data))
            else:
                self.network.link.receive(b"MSG calls 1 %b %d\r\n%b\r\n" % (reply, len(data), data))

    def status(self, pull: Mapping[str, Any], text: str, **headers: int) -> None:
        """The server answers a pull with a status; ``messages=3`` and ``bytes=7`` are what it did not bring."""
        names = {"messages": "Nats-Pending-Messages", "bytes": "Nats-Pending-Bytes"}
        lines = "".join(f"{names[name]}: {value}\r\n" for name, value in headers.items())
        block = f"NATS/1.0 {text}\r\n{lines}\r\n".encode()
        self.network.link.receive(
            b"HMSG %b 1 %d %d\r\n%b\r\n" % (pull["reply"].encode(), len(block), len(block), block)
        )
