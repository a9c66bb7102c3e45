"""The JetStream API in memory: it keeps each request until a test answers it."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import NoRespondersError
from natsroute.jetstream.api import JetStreamApi
from natsroute.message import Message
from natsroute.wire.frames import Address

_Result = TypeVar("_Result")

#: What a server answers about a stream, but for the configuration.
STREAM: dict[str, Any] = {
    "config": {"name": "calls", "subjects": ["calls.>"], "num_replicas": 1},
    "created": "2026-11-26T21:21:49.411423122Z",
    "state": {"messages": 3, "bytes": 114, "first_seq": 1, "last_seq": 3, "consumer_count": 2},
}
#: The same about a consumer.
CONSUMER: dict[str, Any] = {
    "stream_name": "calls",
    "name": "billing",
    "created": "2026-11-26T21:21:49.417443363Z",
    "config": {"durable_name": "billing", "name": "billing", "ack_policy": "explicit", "ack_wait": 30_000_000_000},
    "delivered": {"consumer_seq": 7, "stream_seq": 5},
    "ack_floor": {"consumer_seq": 2, "stream_seq": 1},
    "num_ack_pending": 2,
    "num_redelivered": 1,
    "num_waiting": 0,
    "num_pending": 3,
}


def refusal(err_code: int, description: str = "no", code: int = 400) -> dict[str, Any]:
    """An answer with an error."""
    return {"error": {"code": code, "err_code": err_code, "description": description}}


class MemoryApi:
    """
    What stands behind a :class:`JetStreamApi`.

    :ivar api: asks it.
    :ivar asked: the requests that have no answer yet: subject without the prefix, the JSON object or None, and what
        fires with the answer.
    """

    def __init__(self, prefix: str = "$JS.API") -> None:
        self.api = JetStreamApi(self._request, prefix)
        self.asked: list[tuple[str, Any, Deferred[Any]]] = []

    def _request(self, subject: str, payload: bytes, timeout: float) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        method = subject.removeprefix(f"{self.api.prefix}.")
        self.asked.append((method, json.loads(payload) if payload else None, answer))
        return answer

    @property
    def methods(self) -> list[str]:
        """The requests that have no answer yet."""
        return [method for method, _, _ in self.asked]

    def answer(self, answer: object = None, headers: bytes = b"") -> tuple[str, Any]:
        """
        Answer the oldest request.

        :param answer: bytes, an exception, or a JSON object.
        :return: the request: its subject without the prefix, and the JSON object.
        """
        method, request, waiting = self.asked.pop(0)
        if isinstance(answer, Exception):
            waiting.errback(answer)
        else:
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            waiting.callback(Message(Address("_INBOX.1", 1), data, headers))
        return method, request

    def nobody(self) -> None:
        """Answer the oldest request as a server without JetStream does."""
        self.answer(NoRespondersError(self.asked[0][0]))


class ApiTestCase(SynchronousTestCase):
    """A test with the API in memory."""

    def setUp(self) -> None:
        self.memory = MemoryApi()
        self.api = self.memory.api

    def ask(self, asking: Coroutine[Any, Any, _Result]) -> Deferred[_Result]:
        """Begin to ask."""
        return Deferred.fromCoroutine(asking)

    def answered(self, asking: Coroutine[Any, Any, _Result], *answers: object) -> _Result:
        """The result of asking, after these answers."""
        result = self.ask(asking)
        for answer in answers:
            self.memory.answer(answer)
        return self.successResultOf(result)

    def requested(self, asking: Coroutine[Any, Any, Any], answer: object) -> tuple[str, Any]:
        """The request that asking makes: its subject without the prefix, and the JSON object."""
        result = self.ask(asking)
        request = self.memory.answer(answer)
        self.successResultOf(result)
        return request
