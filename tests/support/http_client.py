"""A client of a real HTTP site."""

from __future__ import annotations

import json
import time
from typing import Any

import attrs
from twisted.internet import defer
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.web.client import Agent, PartialDownloadError, ResponseFailed, ResponseNeverReceived, readBody

from tests.support.waiting import TIMEOUT


@attrs.frozen
class Answer:
    """
    A response of a site.

    :ivar body: the value of its JSON; None if it has none.
    :ivar seconds: how long it took.
    """

    status: int
    body: Any
    seconds: float


async def get(reactor: Any, url: str, timeout: float = TIMEOUT) -> Answer | None:
    """The response to a request over a new connection; None if there is none."""
    begin = time.monotonic()
    try:
        response = (
            await Agent(reactor, connectTimeout=timeout).request(b"GET", url.encode()).addTimeout(timeout, reactor)
        )
        body = await readBody(response).addTimeout(timeout, reactor)
    except (
        ConnectError,
        ConnectionDone,
        ConnectionLost,
        PartialDownloadError,
        ResponseFailed,
        ResponseNeverReceived,
        defer.TimeoutError,
    ):
        return None
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return Answer(response.code, value, time.monotonic() - begin)
