"""
nats-py in the obvious loop: publish what is due, flush now and then. Exceptions are noted, and the loop goes on.

``python -m tests.chaos.nats_py_publisher RATE TURN FILE URL INTERVAL`` flushes every INTERVAL seconds. A message counts
as sent if neither its ``publish`` nor the ``flush`` behind it raised.
"""

from __future__ import annotations

import asyncio
import sys
import time

import nats
from nats.aio.client import Client

from tests.chaos.messages import Pace, payload_of, subject_of
from tests.chaos.reporting import Reporter
from tests.chaos.tally import SENT

#: Seconds that a flush may take. By default it is 10, for which the loop would stand still at each restart that came
#: while it was waiting for the PONG.
FLUSH_TIMEOUT = 1

#: Seconds between attempts to connect.
RECONNECT_WAIT = 0.05


async def _note(problem: Exception) -> None:
    """What nats-py reports beside: a line for each attempt to connect."""


async def publish(rate: float, turn: float, reporter: Reporter, url: str, interval: float) -> None:
    """Until it is told to stop."""
    client = await nats.connect(
        url,
        reconnect_time_wait=RECONNECT_WAIT,
        max_reconnect_attempts=-1,
        error_cb=_note,  # type: ignore[arg-type]
    )
    reporter.ready()
    pace, unflushed, next_flush = Pace(rate), [], 0.0
    while not reporter.stopping:
        numbers = pace.due(time.monotonic())
        unflushed += numbers
        for number in numbers:
            try:
                await client.publish(subject_of(number), payload_of(number))
                reporter.outcomes[number] = SENT
            except Exception as problem:
                reporter.outcomes[number] = type(problem).__name__
        if time.monotonic() >= next_flush:
            next_flush = time.monotonic() + interval
            await _flush(client, unflushed, reporter)
            unflushed = []
        await asyncio.sleep(turn)
    await _flush(client, unflushed, reporter)
    await client.drain()
    reporter.done(pace.sent)


async def _flush(client: Client, numbers: list[int], reporter: Reporter) -> None:
    try:
        await client.flush(FLUSH_TIMEOUT)
    except Exception as problem:
        for number in numbers:
            if reporter.outcomes[number] == SENT:
                reporter.outcomes[number] = f"flush: {type(problem).__name__}"


if __name__ == "__main__":
    rate, turn, path, url, interval = sys.argv[1:]
    asyncio.run(publish(float(rate), float(turn), Reporter(path), url, float(interval)))
