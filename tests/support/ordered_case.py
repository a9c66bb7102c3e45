"""A test case with an ordered consumer, and this test as its server."""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.internet.defer import Deferred

from natsroute.client.server_pool import Backoff
from natsroute.jetstream.consuming.ordered_consumer import OrderedConsumer
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.errors import JetStreamError
from natsroute.wire.frames import Msg
from tests.support.connection_case import ConnectionTestCase
from tests.support.memory_api import CONSUMER, STREAM, MemoryApi

_PULL = re.compile(rb"PUB \$JS\.API\.CONSUMER\.MSG\.NEXT\.calls\.(\S+) (\S+) \d+\r\n(.*)\r\n")


class OrderedCase(ConnectionTestCase):
    """
    An ordered consumer of the stream ``calls``.

    :ivar api: what its API is.
    :ivar consumer: the ordered consumer.
    :ivar sequences: the sequences that were handed over.
    :ivar caught_up: how many had been handed over when it had caught up.
    :ivar problems: the problems that it reported.
    :ivar busy: what the receiver returns.
    :ivar configs: the configurations of the consumers that were created.
    :ivar deleted: the names of the consumers that were deleted.
    """

    def setUp(self) -> None:
        super().setUp()
        self.client = self.connection()
        self.api = MemoryApi()
        self.sequences: list[int] = []
        self.caught_up: list[int] = []
        self.problems: list[JetStreamError | None] = []
        self.busy: Deferred[None] | None = None
        self.configs: list[dict[str, Any]] = []
        self.deleted: list[str] = []

    def make(self, batch: int = 10, **options: Any) -> OrderedConsumer:
        """A consumer that is not started."""
        self.consumer = OrderedConsumer(
            self.client,
            self.api.api,
            "calls",
            clock=self.clock,
            on_msg=self._received,
            on_caught_up=lambda: self.caught_up.append(len(self.sequences)),
            on_problem=self.problems.append,
            options=PullOptions(batch=batch),
            retry=Backoff(1.0, 8.0, 0.0),
            **options,
        )
        return self.consumer

    def reading(self, num_pending: int = 5, **options: Any) -> OrderedConsumer:
        """A consumer that is started and connected, and has its consumer at the server."""
        consumer = self.make(**options)
        consumer.start()
        self.connected(self.client)
        self.create(num_pending)
        return consumer

    def create(self, num_pending: int = 5, created: str = STREAM["created"], delivered: int = 0) -> str:
        """Answer what is asked to create a consumer. Returns its name."""
        self.drop_deletions()
        method, _ = self.api.answer({**STREAM, "created": created})
        self.assertEqual(method, "STREAM.INFO.calls")
        method, request = self.api.asked[0][:2]
        self.assertTrue(method.startswith("CONSUMER.CREATE.calls."), method)
        self.configs.append(request["config"])
        name: str = request["config"]["name"]
        self.consumer_sequence = 0
        self.name = name
        self.api.answer(
            {
                **CONSUMER,
                "name": name,
                "config": request["config"],
                "num_pending": num_pending,
                "delivered": {"consumer_seq": 0, "stream_seq": delivered},
            }
        )
        return name

    def drop_deletions(self) -> None:
        """Answer the requests to delete a consumer."""
        while self.api.asked and self.api.methods[0].startswith("CONSUMER.DELETE"):
            method, _ = self.api.answer({"success": True})
            self.deleted.append(method.rpartition(".")[2])

    def pulls(self) -> list[tuple[str, str, int]]:
        """The pulls that were sent since the last call: consumer, reply subject, batch."""
        said = self.network.link.answer_pings()
        return [(name.decode(), reply.decode(), json.loads(text)["batch"]) for name, reply, text in _PULL.findall(said)]

    def batches(self) -> list[int]:
        """The sizes of the pulls that were sent since the last call."""
        return [batch for _, _, batch in self.pulls()]

    def deliver(self, *sequences: int, num_pending: int = 1, name: str = "", skip: int = 0, sid: int = 1) -> None:
        """
        Messages of these sequences arrive.

        :param name: the consumer that they come from.
        :param skip: the messages of the consumer before these that got lost.
        :param sid: the subscription, which is another one after each start.
        """
        self.consumer_sequence += skip
        for sequence in sequences:
            self.consumer_sequence += 1
            reply = f"$JS.ACK.calls.{name or self.name}.1.{sequence}.{self.consumer_sequence}.0.{num_pending}"
            self.network.link.receive(f"MSG calls.1 {sid} {reply} 1\r\nx\r\n".encode())

    def status(self, pull: tuple[str, str, int], text: str) -> None:
        """The server ends a pull."""
        block = f"NATS/1.0 {text}\r\n\r\n"
        self.network.link.receive(f"HMSG {pull[1]} 1 {len(block)} {len(block)}\r\n{block}\r\n".encode())

    def reconnect(self) -> None:
        """Lose the connection, and let the next one succeed."""
        self.network.link.lose()
        self.clock.advance(2.0)
        self.network.link.shake_hands()

    def _received(self, msg: Msg) -> Deferred[None] | None:
        self.sequences.append(int((msg.reply_to or b"").split(b".")[5]))
        return self.busy
