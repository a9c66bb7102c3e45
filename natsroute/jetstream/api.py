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
from natsroute.errors import DecodeError, NoRespondersError, PermissionsError, RequestTimeoutError
from natsroute.jetstream.errors import (
    InvalidApiAnswerError,
    JetStreamPermissionError,
    JetStreamUnavailableError,
    NoApiAnswerError,
    error_of,
)
from natsroute.message import Message

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
        :raises JetStreamPermissionError: the user may not ask.
        :raises NoApiAnswerError: there is no answer in time.
        :raises InvalidApiAnswerError: the answer is not one of the API.
        :raises ConnectionLostError: the connection ended before the answer.
        """
        return parse_answer((await self.ask(method, request)).data, f"{self.prefix}.{method}")

    async def ask(self, method: str, request: Mapping[str, Any] | None = None) -> Message:
        """
        Call a method whose answer is not a JSON object. Parameters and errors are those of :meth:`call`.

        :return: the answer.
        """
        subject = f"{self.prefix}.{method}"
        payload = b"" if request is None else json.dumps(request, separators=(",", ":")).encode()
        try:
            answer: Message = await self._request(subject, payload, self._timeout)
            return answer
        except NoRespondersError:
            raise JetStreamUnavailableError("nothing answers", 503, asked=subject) from None
        except PermissionsError as error:
            raise JetStreamPermissionError(subject, str(error)) from None
        except RequestTimeoutError as error:
            raise NoApiAnswerError(subject, f"no answer within {error.seconds:g} s") from None

    async def pages(self, method: str, key: str, request: Mapping[str, Any] | None = None) -> list[Any]:
        """
        Call a method that gives a list in pages, until the list is complete.

        :param key: the name of the list in each answer.
        """
        found: list[Any] = []
        while True:
            answer = await self.call(method, {**(request or {}), "offset": len(found)})
            page = answer.get(key) or []
            found += page
            if not page or len(found) >= int(answer.get("total", 0)):
                return found

    async def account_info(self) -> dict[str, Any]:
        """What the account uses of JetStream, and its limits (``memory``, ``storage``, ``streams``, ``limits`` ...)."""
        return await self.call("INFO")


def parse_answer(data: bytes, subject: str) -> dict[str, Any]:
    """
    Read an answer of the API.

    :param subject: that of the request.
    :raises JetStreamError: it is an error.
    :raises InvalidApiAnswerError: it is no answer of the API.
    """
    try:
        answer = payloads.to_json(data, subject)
    except DecodeError as problem:
        raise InvalidApiAnswerError(subject, data, str(problem)) from None
    if not isinstance(answer, dict):
        raise InvalidApiAnswerError(subject, data, repr(data[:100]))
    error = answer.get("error")
    if error is None:
        return answer
    if not isinstance(error, dict):
        raise InvalidApiAnswerError(subject, data, repr(data[:100]))
    code, err_code, description = error.get("code", 0), error.get("err_code", 0), error.get("description", "")
    if type(code) is not int or type(err_code) is not int or type(description) is not str:
        raise InvalidApiAnswerError(subject, data, repr(data[:100]))
    raise error_of(code, err_code, description, subject)
