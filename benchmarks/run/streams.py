"""The stream of a scenario of JetStream, and what the server says of it."""

from __future__ import annotations

import json
from itertools import islice
from time import monotonic, sleep
from types import TracebackType
from typing import Any

from benchmarks.load.job import DURABLE, STREAM, SUBJECT, Job
from benchmarks.load.traffic import command, messages
from tests.support.plain_client import PlainClient

# nats-server drops what a stream has not stored when more than 10,000 messages wait for that.
_MESSAGES_PER_BLOCK = 2_000
_INBOX = "_INBOX.bench.streams"
_ACK_TIMEOUT = 30.0


class Stream:
    """
    A stream in the memory of the server, so that no disk is measured; a context manager, which deletes it.

    :param url: of the server.
    """

    def __init__(self, url: str) -> None:
        self._client = PlainClient(url)
        self._client.subscribe(_INBOX)

    def __enter__(self) -> Stream:
        config = {"name": STREAM, "subjects": [SUBJECT, f"{SUBJECT}.*"], "storage": "memory", "num_replicas": 1}
        self._ask(f"STREAM.CREATE.{STREAM}", config)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self._ask(f"STREAM.DELETE.{STREAM}")
        self._client.close()

    @property
    def messages(self) -> int:
        """How many it has."""
        return int(self._ask(f"STREAM.INFO.{STREAM}")["state"]["messages"])

    def fill(self, job: Job) -> int:
        """
        Publish the messages of a job into it, without their reply subjects.

        :return: the bytes of their payloads.
        """
        size = 0
        left = messages(job)
        while block := list(islice(left, _MESSAGES_PER_BLOCK)):
            size += sum(len(message.payload) for message in block)
            plain = [message._replace(reply="") for message in block]
            plain[-1] = plain[-1]._replace(reply=_INBOX)  # its acknowledgement is that of all before it
            self._client.write(b"".join(map(command, plain)))
            self._client.next_message()
        return size

    def add_consumer(self) -> None:
        """Add a durable consumer whose messages must be acknowledged. The server limits nothing."""
        config = {"durable_name": DURABLE, "ack_policy": "explicit", "deliver_policy": "all", "max_ack_pending": -1}
        self._ask(f"CONSUMER.CREATE.{STREAM}.{DURABLE}", {"stream_name": STREAM, "config": config})

    def problems(self, count: int, timeout: float = _ACK_TIMEOUT) -> list[str]:
        """
        What the server says against a run in which its consumer was to have each message once, and acknowledge it.

        :param count: messages of the run.
        :param timeout: seconds in which the last acknowledgements may still come.
        """
        give_up = monotonic() + timeout
        while True:
            info = self._ask(f"CONSUMER.INFO.{STREAM}.{DURABLE}")
            found = {
                "delivered": (info["delivered"]["consumer_seq"], count),
                "acknowledged": (info["ack_floor"]["stream_seq"], count),
                "not acknowledged": (info["num_ack_pending"], 0),
                "redelivered": (info["num_redelivered"], 0),
            }
            wrong = [
                f"{what}: {number:,}, not {wanted:,}" for what, (number, wanted) in found.items() if number != wanted
            ]
            if not wrong or monotonic() > give_up:
                return wrong
            sleep(0.02)

    def _ask(self, request: str, body: object = None) -> dict[str, Any]:
        payload = b"" if body is None else json.dumps(body).encode()
        self._client.write(
            b"PUB $JS.API.%b %b %d\r\n%b\r\n" % (request.encode(), _INBOX.encode(), len(payload), payload)
        )
        answer: dict[str, Any] = json.loads(self._client.next_message()[2])
        if "error" in answer:
            raise OSError(f"{request}: {answer['error']}")
        return answer
