"""What a run needs of JetStream: the API, messages with ids, and everything that a stream has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from natsroute.client.connection import Connection
from natsroute.client.requests import Requests
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import parse_url
from natsroute.errors import NatsrouteError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.acks import Acks
from natsroute.jetstream.consuming.pull_consumer import PullConsumer
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.publishing.pub_ack import PubAck, parse_pub_ack
from natsroute.message import Message
from natsroute.wire.encoder import encode_pub
from natsroute.wire.headers import encode_headers
from tests.chaos.messages import payload_of, subject_of
from tests.support.waiting import TIMEOUT, until

_NANOSECONDS = 1_000_000_000
#: Messages that are written at once.
_CHUNK = 1000
#: Seconds that a publisher waits for the acknowledgement of a stream, before it publishes again.
_ACK_TIMEOUT = 3.0


class StreamControl:
    """
    A connection of the test itself.

    :ivar api: asks the JetStream API.
    :ivar connection: the connection.
    """

    def __init__(self, reactor: Any, urls: Sequence[str]) -> None:
        self._reactor = reactor
        pool = ServerPool([parse_url(url) for url in urls], Backoff(0.05, 0.2, 0.05))
        self.connection = Connection(reactor, pool, message_type=Message)
        self._requests = Requests(self.connection, reactor)
        self.api = JetStreamApi(self._requests.request)

    async def start(self) -> None:
        """Connect."""
        self.connection.startService()
        await until(lambda: self.connection.state.is_connected, self._reactor)

    def stop(self) -> Deferred[None]:
        """Close the connection."""
        return self.connection.stopService()

    async def ask(
        self, method: str, request: dict[str, Any] | None = None, *, timeout: float = TIMEOUT
    ) -> dict[str, Any]:
        """
        Ask the API until it answers: in a cluster there may be no leader for a while.

        :raises AssertionError: there is no answer in time.
        """
        give_up = self._reactor.seconds() + timeout
        while True:
            try:
                return await self.api.call(method, request)
            except NatsrouteError as error:
                if self._reactor.seconds() > give_up:
                    raise AssertionError(f"{method}: {error}") from error
                await deferLater(self._reactor, 0.1)

    async def create_stream(self, name: str, *subjects: str, replicas: int = 1) -> None:
        """Make a stream that keeps everything in files, and knows every message id."""
        config = {
            "name": name,
            "subjects": subjects,
            "storage": "file",
            "num_replicas": replicas,
            "duplicate_window": 3600 * _NANOSECONDS,
        }
        await self.ask(f"STREAM.CREATE.{name}", config)

    async def create_consumer(self, stream: str, durable: str, ack_wait: float) -> None:
        """Make a durable consumer."""
        config = {
            "durable_name": durable,
            "ack_policy": "explicit",
            "ack_wait": round(ack_wait * _NANOSECONDS),
        }
        await self.ask(f"CONSUMER.CREATE.{stream}.{durable}", {"stream_name": stream, "config": config})

    async def messages_in(self, stream: str) -> int:
        """The number of messages in a stream."""
        return int((await self.ask(f"STREAM.INFO.{stream}"))["state"]["messages"])

    async def publish_all(self, stream: str, count: int) -> None:
        """Publish the messages with the numbers below ``count``, and wait until the stream has them."""
        numbers = iter(range(count))
        while chunk := list(islice(numbers, _CHUNK)):
            await self.connection.write_and_ping(b"".join(_numbered(number) for number in chunk))
        give_up = self._reactor.seconds() + 120.0
        while await self.messages_in(stream) < count:
            assert self._reactor.seconds() < give_up, "the stream does not take the messages"
            await deferLater(self._reactor, 0.05)

    async def publish(self, number: int) -> PubAck:
        """Publish a message until the stream acknowledges it; its id makes a second one harmless."""
        while True:
            try:
                block = encode_headers({"Nats-Msg-Id": str(number)})
                answer = self._requests.request(subject_of(number), payload_of(number), _ACK_TIMEOUT, block)
                return parse_pub_ack(await answer)
            except NatsrouteError:
                await deferLater(self._reactor, 0.05)

    async def read(self, stream: str, take: Callable[[Message], object]) -> None:
        """Call ``take`` with each message of a stream."""
        expected = await self.messages_in(stream)
        durable = "reader"
        config = {"durable_name": durable, "ack_policy": "none", "deliver_policy": "all"}
        await self.ask(f"CONSUMER.CREATE.{stream}.{durable}", {"stream_name": stream, "config": config})
        seen = 0

        def received(msg: Message) -> None:
            nonlocal seen
            seen += 1
            take(msg)

        acks = Acks(self.connection, self._requests, self._reactor)
        options = PullOptions(batch=5000)
        reader = PullConsumer(self.connection, self.api, acks, stream, durable, received, options, clock=self._reactor)
        reader.start()
        try:
            await until(lambda: seen >= expected, self._reactor)
        finally:
            reader.stop()


def _numbered(number: int) -> bytes:
    block = encode_headers({"Nats-Msg-Id": str(number)})
    return encode_pub(subject_of(number), payload_of(number), None, block)


def missing(expected: Iterable[int], found: Iterable[int], what: str) -> list[str]:
    """A line for the numbers that are expected and not found, if there are any."""
    numbers = sorted(set(expected) - set(found))
    return [f"{len(numbers)} messages {what}, of numbers {numbers[0]} to {numbers[-1]}"] if numbers else []
