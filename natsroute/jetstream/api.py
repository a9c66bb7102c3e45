"""
Requests to the JetStream API of the server, and its answers (NATS ADR-1, and the server's ``jetstream_api.go``).

Requests and answers are JSON objects with the names that the server gives them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred

from natsroute import payloads
from natsroute.errors import DecodeError, NoRespondersError
from natsroute.jetstream.errors import JetStreamError, JetStreamUnavailableError, error_of

#: What the subjects of the API begin with, where there is no domain.
DEFAULT_API_PREFIX = "$JS.API"
#: Seconds that an answer may take. In a cluster, the server itself gives up after 5.
DEFAULT_API_TIMEOUT = 5.0


#: Sends a request: a subject, a payload and a timeout in seconds. The Deferred fires with the answer, as that of
#: :meth:`natsroute.client.requests.Requests.request` does.
Request: TypeAlias = Callable[[str, bytes, float], "Deferred[Any]"]


def api_prefix(domain: str) -> str:
    """What the subjects of the API begin with in a JetStream domain; without one if it is empty."""
    return f"$JS.{domain}.API" if domain else DEFAULT_API_PREFIX


class JetStreamApi:
    """
    Asks the JetStream API. All methods run in the reactor thread, and every Deferred fires there.

    :param request: sends a request.
    :param prefix: what the subjects begin with: :func:`api_prefix`.
    :param timeout: seconds that an answer may take.

    :ivar prefix: the same.
    """

    def __init__(
        self, request: Request, prefix: str = DEFAULT_API_PREFIX, *, timeout: float = DEFAULT_API_TIMEOUT
    ) -> None:
        self.prefix = prefix
        self._request = request
        self._timeout = timeout

    async def call(self, method: str, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """
        Call a method.

        :param method: what follows the prefix, such as ``STREAM.INFO.calls``.
        :param request: the JSON object to send; None for an empty payload.
        :return: the JSON object of the answer.
        :raises JetStreamError: the server refuses it; there are subclasses.
        :raises JetStreamUnavailableError: there is no JetStream, or not at this prefix.
        :raises RequestError: there is no answer.
        :raises ConnectionLostError: the connection ended before the answer.
        """
        subject = f"{self.prefix}.{method}"
        payload = b"" if request is None else json.dumps(request, separators=(",", ":")).encode()
        try:
            msg = await self._request(subject, payload, self._timeout)
        except NoRespondersError:
            problem = f"nothing answers at {self.prefix}"
            remedy = "Start the server with -js, enable JetStream for the account, or check jetstream_domain"
            raise JetStreamUnavailableError(problem, 503, remedy=remedy) from None
        return parse_answer(msg.data, subject)


def parse_answer(data: bytes, subject: str) -> dict[str, Any]:
    """
    Read an answer of the API.

    :raises JetStreamError: it is an error, or no answer of the API at all.
    """
    try:
        answer = payloads.to_json(data, subject)
    except DecodeError as problem:
        raise JetStreamError(f"the answer from {subject} is not of the JetStream API: {problem}") from None
    if not isinstance(answer, dict):
        raise JetStreamError(f"the answer from {subject} is not of the JetStream API: {data[:100]!r}")
    error = answer.get("error")
    if isinstance(error, dict):
        raise error_of(int(error.get("code", 0)), int(error.get("err_code", 0)), str(error.get("description", "")))
    return answer
