"""nats-py, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nats
from nats.aio.client import Client
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread


def run_client(url: str, main: Callable[[Client], Awaitable[Any]]) -> Deferred[Any]:
    """
    Run a coroutine function with a client of nats-py.

    :return: fires with its result.
    """

    async def connected() -> Any:
        async with await nats.connect(url) as client:
            return await main(client)

    return deferToThread(asyncio.run, connected())
